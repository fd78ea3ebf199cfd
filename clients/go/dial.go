package bonafide

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// All addresses of a name are called in turn. What is safe to ask twice is retried, about 3 s in
// all; an upload is not here, since its parts are read once.
const serviceConfig = `{
	"loadBalancingConfig": [{"round_robin": {}}],
	"methodConfig": [{
		"name": [
			{"service": "audioanalyzer.AudioAnalysis", "method": "AnalyzeAudio"},
			{"service": "audioanalyzer.AudioAnalysis", "method": "AnalyzeAudioStream"},
			{"service": "audioanalyzer.AudioAnalysis", "method": "GetVoiceModelStatus"},
			{"service": "liveness.LivenessService"},
			{"service": "jobs.Jobs", "method": "Get"},
			{"service": "jobs.Jobs", "method": "Cancel"},
			{"service": "jobs.Jobs", "method": "Results"},
			{"service": "grpc.health.v1.Health", "method": "Check"}
		],
		"retryPolicy": {
			"maxAttempts": 5,
			"initialBackoff": "0.2s",
			"maxBackoff": "2s",
			"backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}]
}`

// An hour of audio is silent for minutes, and proxies drop silent connections.
const keepaliveTime = time.Minute

type settings struct {
	tls     *tls.Config
	key     string
	inClear bool
	dial    []grpc.DialOption
}

// Option changes how a service is reached.
type Option func(*settings)

// WithTLS encrypts; without it nothing is. TLSFiles makes a configuration of files.
func WithTLS(config *tls.Config) Option { return func(s *settings) { s.tls = config } }

// WithKey sends an API key with each call. Without TLS it is sent to this machine only.
func WithKey(key string) Option { return func(s *settings) { s.key = key } }

// WithKeyInClear sends an API key without TLS too, where something else encrypts the way.
func WithKeyInClear(key string) Option { return func(s *settings) { s.key, s.inClear = key, true } }

// WithDialOptions passes options on to gRPC.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// TLSFiles reads PEM files: the authorities to trust ("": the system's), and the client's certificate and key for
// mutual TLS ("": none).
func TLSFiles(ca, cert, key string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", ca)
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func connect(target string, options []Option) (*grpc.ClientConn, error) {
	var s settings
	for _, option := range options {
		option(&s)
	}
	transport := insecure.NewCredentials()
	if s.tls != nil {
		transport = credentials.NewTLS(s.tls)
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, PermitWithoutStream: true}),
		grpc.WithUserAgent("bonafide-client-go"),
		// gRPC takes 4 MiB by itself; the answer on hours of audio in overlapping chunks is larger.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
	}
	if s.key != "" {
		if strings.ContainsFunc(s.key, func(char rune) bool { return char <= ' ' || char > '~' }) {
			return nil, errors.New("the API key holds a character that cannot travel in a header")
		}
		wantTLS := !s.inClear && !isLocal(target)
		if wantTLS && s.tls == nil {
			return nil, fmt.Errorf("the API key would travel to %s unencrypted: give WithTLS, or WithKeyInClear where something else encrypts the way", target)
		}
		dial = append(dial, grpc.WithPerRPCCredentials(keyCredentials{s.key, wantTLS}))
	}
	return grpc.NewClient(target, append(dial, s.dial...)...)
}

type keyCredentials struct {
	key     string
	wantTLS bool
}

func (k keyCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + k.key}, nil
}

func (k keyCredentials) RequireTransportSecurity() bool { return k.wantTLS }

// String keeps the key out of what is printed.
func (k keyCredentials) String() string { return "API key" }

func isLocal(target string) bool {
	if strings.HasPrefix(target, "unix:") {
		return true
	}
	// With a name server (dns://server/name), whatever that says.
	host, _, err := net.SplitHostPort(strings.TrimPrefix(target, "dns:///"))
	if err != nil {
		return false
	}
	address := net.ParseIP(host)
	return host == "localhost" || (address != nil && address.IsLoopback())
}
