package main

import (
	"context"
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
