package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	bonafide "bonafide/clients/go"
)

type settings struct {
	listen         string
	databaseURL    string
	minioEndpoint  string
	minioAccessKey string
	minioSecretKey string
	minioSecure    bool
	bucket         string
	maxUploadBytes int64
	workers        int

	bonafideAddress string
	bonafideKeyFile string
	bonafideTLS     bool
	bonafideCA      string
	bonafideCert    string
	bonafideCertKey string
}

// settingsFromEnv reads the environment; README.md has the table. A value that cannot be read is an error: what is meant
// to be encrypted would not be.
func settingsFromEnv(env func(string) string) (settings, error) {
	var wrong error
	number := func(name string, otherwise int) int {
		if env(name) == "" {
			return otherwise
		}
		value, err := strconv.Atoi(env(name))
		if err != nil || value < 1 {
			wrong = errors.Join(wrong, fmt.Errorf("%s=%s is no number from 1 on", name, env(name)))
		}
		return value
	}
	yes := func(name string) bool {
		value, err := strconv.ParseBool(cmp.Or(env(name), "false"))
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%s=%s is neither true nor false", name, env(name)))
		}
		return value
	}
	found := settings{
		listen:          cmp.Or(env("LISTEN"), "127.0.0.1:8080"),
		databaseURL:     cmp.Or(env("DATABASE_URL"), "postgres:///bonafide"),
		minioEndpoint:   cmp.Or(env("MINIO_ENDPOINT"), "127.0.0.1:9000"),
		minioAccessKey:  env("MINIO_ACCESS_KEY"),
		minioSecretKey:  env("MINIO_SECRET_KEY"),
		minioSecure:     yes("MINIO_SECURE"),
		bucket:          cmp.Or(env("MINIO_BUCKET"), "recordings"),
		maxUploadBytes:  int64(number("MAX_UPLOAD_BYTES", 128<<20)),
		workers:         number("WORKERS", 8),
		bonafideAddress: cmp.Or(env("BONAFIDE_ADDRESS"), "127.0.0.1:50051"),
		bonafideKeyFile: env("BONAFIDE_API_KEY_FILE"),
		bonafideTLS:     yes("BONAFIDE_TLS"),
		bonafideCA:      env("BONAFIDE_CA"),
		bonafideCert:    env("BONAFIDE_CERT"),
		bonafideCertKey: env("BONAFIDE_CERT_KEY"),
	}
	return found, wrong
}

// dial prepares the connection to Bonafide.
func (s settings) dial() (*bonafide.Client, error) {
	var options []bonafide.Option
	if s.bonafideTLS || s.bonafideCA != "" || s.bonafideCert != "" {
		config, err := s.tls()
		if err != nil {
			return nil, err
		}
		options = append(options, bonafide.WithTLS(config))
	}
	if s.bonafideKeyFile != "" {
		content, err := os.ReadFile(s.bonafideKeyFile)
		if err != nil {
			return nil, err
		}
		key := strings.TrimSpace(string(content))
		if key == "" {
			return nil, errors.New("BONAFIDE_API_KEY_FILE is empty")
		}
		options = append(options, bonafide.WithKey(key))
	}
	return bonafide.Dial(s.bonafideAddress, options...)
}

func (s settings) tls() (*tls.Config, error) {
	return bonafide.TLSFiles(s.bonafideCA, s.bonafideCert, s.bonafideCertKey)
}
