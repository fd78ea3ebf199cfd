package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

const (
	pingPeriod = 30 * time.Second
	// What a peer may take to answer a ping or to read its notice. Who takes longer would also keep the backend from leaving.
	patience = 10 * time.Second
)

// api is what users of the backend see.
type api struct {
	tasks          *tasks
	recordings     *recordings
	notices        *notices
	added          func() // is called after each new task
	maxUploadBytes int64

	leaving <-chan struct{} // is closed when open sockets are to be
	sockets sync.WaitGroup  // those open
}

func (a *api) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("POST /v1/recordings", a.upload)
	routes.HandleFunc("GET /v1/tasks/{id}", a.status)
	routes.HandleFunc("GET /v1/tasks/{id}/notice", a.notice)
	routes.HandleFunc("GET /livez", func(http.ResponseWriter, *http.Request) {})
	routes.HandleFunc("GET /readyz", a.ready)
	return routes
}

// upload stores the recording in the body (raw, or the field `file` of a form) and answers 202: it is judged later.
func (a *api) upload(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, a.maxUploadBytes)
	recording, size, err := uploaded(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	id := rand.Text()
	key := time.Now().UTC().Format("2006/01/02/") + id
	stored, err := a.recordings.put(r.Context(), key, recording, size)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errCut): // of a form without its end somebody is there to be told
		refuse(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "too_large", err.Error())
		return
	case err != nil:
		slog.Error("a recording could not be stored", "task_id", id, "error", err)
		refuse(w, http.StatusServiceUnavailable, "unavailable", "the recording could not be stored")
		return
	case stored == 0:
		a.forget(r.Context(), key)
		refuse(w, http.StatusBadRequest, "invalid_request", "the recording is empty")
		return
	}
	if err := a.tasks.add(r.Context(), id, key); err != nil {
		slog.Error("a task could not be written", "task_id", id, "error", err)
		a.forget(r.Context(), key)
		refuse(w, http.StatusServiceUnavailable, "unavailable", "the task could not be written")
		return
	}
	a.added()
	location := "/v1/tasks/" + id
	w.Header().Set("Location", location)
	answer(w, http.StatusAccepted, map[string]string{
		"task_id": id, "status_url": location, "notice_url": location + "/notice",
	})
}

// status answers with the task as it is now.
func (a *api) status(w http.ResponseWriter, r *http.Request) {
	found, ok := a.find(w, r)
	if ok {
		answer(w, http.StatusOK, found)
	}
}

// notice is a WebSocket that gets one message, the finished task, and is closed.
func (a *api) notice(w http.ResponseWriter, r *http.Request) {
	a.sockets.Add(1)
	defer a.sockets.Done()
	told, end := a.notices.subscribe(r.PathValue("id"))
	defer end()
	found, ok := a.find(w, r)
	if !ok {
		return
	}
	socket, err := websocket.Accept(w, r, nil) // refuses pages of other origins
	if err != nil {
		return
	}
	defer func() { _ = socket.CloseNow() }()
	ctx := socket.CloseRead(r.Context())
	for !found.finished() {
		select {
		case <-ctx.Done(): // the other side left
			return
		case <-a.leaving:
			_ = socket.Close(websocket.StatusGoingAway, "the backend is leaving")
			return
		case <-time.After(pingPeriod):
			if err := within(ctx, patience, socket.Ping); err != nil {
				return
			}
		case <-told:
		}
		if found, err = a.tasks.get(ctx, found.ID); err != nil {
			_ = socket.Close(websocket.StatusTryAgainLater, "the task could not be read")
			return
		}
	}
	write := func(ctx context.Context) error { return wsjson.Write(ctx, socket, found) }
	if err := within(ctx, patience, write); err == nil {
		_ = socket.Close(websocket.StatusNormalClosure, "")
	}
}

func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := a.tasks.pool.Ping(ctx); err != nil {
		refuse(w, http.StatusServiceUnavailable, "unavailable", "no database")
	}
}

func (a *api) find(w http.ResponseWriter, r *http.Request) (*task, bool) {
	found, err := a.tasks.get(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, errNoTask):
		refuse(w, http.StatusNotFound, "not_found", err.Error())
	case err != nil:
		slog.Error("a task could not be read", "error", err)
		refuse(w, http.StatusServiceUnavailable, "unavailable", "the task could not be read")
	}
	return found, err == nil
}

// forget removes a recording that belongs to no task, although its sender may be gone.
func (a *api) forget(ctx context.Context, key string) {
	if err := a.recordings.remove(context.WithoutCancel(ctx), key); err != nil {
		slog.Warn("a recording without a task stays", "key", key, "error", err)
	}
}

// uploaded finds the recording in a request, and its size; -1: not known.
func uploaded(r *http.Request) (io.Reader, int64, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		return r.Body, r.ContentLength, nil
	}
	form, err := r.MultipartReader()
	if err != nil {
		return nil, 0, err
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, 0, errors.New("the form has no field `file`")
		}
		if part.FormName() == "file" {
			return part, -1, nil
		}
	}
}

func within(ctx context.Context, limit time.Duration, act func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return act(ctx)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]taskError{"error": {code, message}})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		slog.Debug("an answer could not be sent", "error", err)
	}
}
