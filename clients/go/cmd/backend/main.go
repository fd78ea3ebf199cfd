// Command backend is a REST backend in front of Bonafide, as an example to start from: it takes recordings, keeps them
// in MinIO and their tasks in PostgreSQL, has them judged over gRPC, and tells when they are.
//
// It has no users: put what knows them in front of it, or into api.go.
package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const leaveTimeout = 20 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	s, err := settingsFromEnv(os.Getenv)
	if err == nil {
		err = run(ctx, s)
	}
	if err != nil {
		slog.Error("backend ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	tasks, err := openTasks(ctx, s.databaseURL)
	if err != nil {
		return err
	}
	defer tasks.close()
	recordings, err := openRecordings(ctx, s)
	if err != nil {
		return err
	}
	judge, err := s.dial()
	if err != nil {
		return err
	}
	defer func() { _ = judge.Close() }()

	ctx, leave := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer leave()
	notices := newNotices()
	work := newWorker(tasks, judge, s.bucket)
	background.Go(func() { notices.listen(ctx, tasks) })
	background.Go(func() { work.run(ctx, s.workers) })

	users := &api{
		tasks: tasks, recordings: recordings, notices: notices, added: work.wake,
		maxUploadBytes: s.maxUploadBytes, leaving: ctx.Done(),
	}
	server := &http.Server{Handler: users.routes(), ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	slog.Info("backend listens", "address", listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// Uploads are finished; a task that is being judged is taken up again by whoever runs next.
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	err = server.Shutdown(leaving)
	users.sockets.Wait()
	return err
}
