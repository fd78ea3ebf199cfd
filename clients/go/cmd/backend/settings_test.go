package main

import (
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	from := func(given map[string]string) (settings, error) {
		return settingsFromEnv(func(name string) string { return given[name] })
	}
	s, err := from(nil)
	if err != nil || s.bonafideTLS || s.minioSecure || s.workers != 8 || s.maxUploadBytes != 128<<20 {
		t.Errorf("%+v %v", s, err)
	}
	s, err = from(map[string]string{"BONAFIDE_TLS": "true", "MINIO_SECURE": "1", "WORKERS": "3", "MAX_UPLOAD_BYTES": "10"})
	if err != nil || !s.bonafideTLS || !s.minioSecure || s.workers != 3 || s.maxUploadBytes != 10 {
		t.Errorf("%+v %v", s, err)
	}
	// Not taken for false, or for the default: the way would not be encrypted.
	for name, value := range map[string]string{
		"BONAFIDE_TLS": "yes", "MINIO_SECURE": "on", "WORKERS": "0", "MAX_UPLOAD_BYTES": "1GB",
	} {
		if _, err := from(map[string]string{name: value}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}
