package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	bonafide "bonafide/clients/go"
)

const (
	lease      = 30 * time.Second // of a task in work; renewed three times as often
	pollPeriod = time.Second      // for tasks that are due again, and those of backends that died
	mostWait   = time.Minute
	// Some hours of trying before a task fails for something that is not its recording's fault.
	mostAttempts = 300
)

var results = protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}

// worker has tasks judged, a goroutine for each call.
type worker struct {
	tasks  *tasks
	judge  *bonafide.Client
	bucket string
	woken  chan struct{}
}

func newWorker(tasks *tasks, judge *bonafide.Client, bucket string) *worker {
	return &worker{tasks: tasks, judge: judge, bucket: bucket, woken: make(chan struct{}, 1)}
}

// wake says that there is a new task. Never blocks.
func (w *worker) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// run judges up to `most` tasks at a time until the context ends; it returns when all calls have ended.
func (w *worker) run(ctx context.Context, most int) {
	var calls sync.WaitGroup
	defer calls.Wait()
	free := make(chan struct{}, most)
	for ctx.Err() == nil {
		free <- struct{}{}
		claimed, err := w.tasks.claim(ctx, lease)
		if claimed != nil {
			calls.Go(func() {
				defer func() { <-free }()
				w.judgeOne(ctx, claimed)
			})
			continue
		}
		<-free
		if err != nil && ctx.Err() == nil {
			slog.Error("no task could be claimed", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-w.woken:
		case <-time.After(pollPeriod):
		}
	}
}

func (w *worker) judgeOne(ctx context.Context, claimed *task) {
	log := slog.With("task_id", claimed.ID, "attempt", claimed.Attempts)
	calling, end := context.WithTimeout(ctx, bonafide.AudioTimeout)
	defer end()
	var keeping sync.WaitGroup
	keeping.Go(func() { w.keep(calling, claimed, log) })
	report, err := w.judge.AnalyzeObject(calling, w.bucket, claimed.ObjectKey, claimed.ID)
	end()
	keeping.Wait()

	// What is known by now is written down although the backend is leaving.
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var unwritten error
	switch {
	case err == nil:
		result, marshalErr := results.Marshal(report)
		unwritten = errors.Join(marshalErr, w.tasks.finish(writing, claimed, result, nil))
		log.Info("task done", "label", report.GetLabel(), "request_id", report.GetRequestId())
	case ctx.Err() != nil:
		unwritten = w.tasks.postpone(writing, claimed, 0)
	case isFinal(err) || claimed.Attempts >= mostAttempts:
		unwritten = w.tasks.finish(writing, claimed, nil, described(err))
		log.Warn("task failed", "error", err)
	default:
		wait := waitAfter(claimed.Attempts, err)
		unwritten = w.tasks.postpone(writing, claimed, wait)
		log.Warn("task postponed", "error", err, "wait", wait)
	}
	if unwritten != nil {
		log.Error("the task is tried again, since what became of it could not be written", "error", unwritten)
	}
}

// keep holds the claimed task until the call has ended.
func (w *worker) keep(calling context.Context, claimed *task, log *slog.Logger) {
	for {
		select {
		case <-calling.Done():
			return
		case <-time.After(lease / 3):
			if err := w.tasks.keep(calling, claimed, lease); err != nil && calling.Err() == nil {
				log.Warn("the task could not be held", "error", err)
			}
		}
	}
}

// isFinal tells whether the recording itself is at fault. A wrong key or a bug of the service is not its fault.
func isFinal(err error) bool {
	var failed *bonafide.Error
	if errors.As(err, &failed) && failed.Code == "too_large" {
		return true // whatever its status: gRPC's own limits give ResourceExhausted
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.PermissionDenied:
		return true
	default:
		return false
	}
}

// waitAfter is what the service asked for, or longer with each attempt.
func waitAfter(attempts int, err error) time.Duration {
	wait := min(time.Second<<min(attempts-1, 6), mostWait)
	var failed *bonafide.Error
	if errors.As(err, &failed) {
		wait = max(wait, failed.RetryAfter)
	}
	return wait
}

func described(err error) *taskError {
	var failed *bonafide.Error
	if errors.As(err, &failed) {
		return &taskError{failed.Code, failed.Message}
	}
	return &taskError{"internal", err.Error()}
}
