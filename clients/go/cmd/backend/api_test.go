package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

func TestAPeerThatNeitherAnswersNorReadsIsGivenUp(t *testing.T) {
	large := strings.Repeat("x", 32<<20)
	for name, act := range map[string]func(*websocket.Conn) func(context.Context) error{
		"ping": func(socket *websocket.Conn) func(context.Context) error { return socket.Ping },
		"write": func(socket *websocket.Conn) func(context.Context) error {
			return func(ctx context.Context) error { return wsjson.Write(ctx, socket, large) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				socket, err := websocket.Accept(w, r, nil)
				if err != nil {
					ended <- err
					return
				}
				defer func() { _ = socket.CloseNow() }()
				ended <- within(socket.CloseRead(r.Context()), 50*time.Millisecond, act(socket))
			}))
			defer server.Close()
			peer, _, err := websocket.Dial(t.Context(), server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = peer.CloseNow() }() // it has read nothing, not even the pings
			select {
			case err := <-ended:
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			case <-time.After(20 * time.Second):
				t.Error("it is waited for")
			}
		})
	}
}

// A store that takes everything; only what an upload needs.
func store(t *testing.T) *recordings {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Has("location"):
			_, _ = w.Write([]byte(`<LocationConstraint/>`))
		case r.URL.Query().Has("uploads"):
			_, _ = w.Write([]byte(`<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>`))
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(server.Close)
	found, err := openRecordings(t.Context(), settings{
		minioEndpoint: strings.TrimPrefix(server.URL, "http://"), minioAccessKey: "key", minioSecretKey: "secret", bucket: "recordings",
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAFormWithoutItsEndIsRefused(t *testing.T) {
	users := &api{recordings: store(t), maxUploadBytes: 1 << 20}
	server := httptest.NewServer(users.routes())
	defer server.Close()
	form := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF and more"
	answered, err := http.Post(server.URL+"/v1/recordings", "multipart/form-data; boundary=x", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	defer answered.Body.Close()
	var told struct{ Error taskError }
	if err := json.NewDecoder(answered.Body).Decode(&told); err != nil || answered.StatusCode != http.StatusBadRequest ||
		told.Error.Code != "invalid_request" {
		t.Errorf("%d %+v %v", answered.StatusCode, told, err)
	}
}
