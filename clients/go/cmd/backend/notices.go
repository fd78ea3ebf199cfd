package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// notices tells who waits for a task that it is finished, whichever backend finished it.
type notices struct {
	mu      sync.Mutex
	waiting map[string]map[chan struct{}]struct{}
}

func newNotices() *notices { return &notices{waiting: map[string]map[chan struct{}]struct{}{}} }

// subscribe returns a channel that may be told of the task any number of times, and a function that ends that. Look at
// the task after subscribing, and after each notice: a notice may come for nothing.
func (n *notices) subscribe(id string) (<-chan struct{}, func()) {
	told := make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting[id] == nil {
		n.waiting[id] = map[chan struct{}]struct{}{}
	}
	n.waiting[id][told] = struct{}{}
	return told, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.waiting[id], told)
		if len(n.waiting[id]) == 0 {
			delete(n.waiting, id)
		}
	}
}

func (n *notices) tell(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for told := range n.waiting[id] {
		select {
		case told <- struct{}{}:
		default:
		}
	}
}

func (n *notices) tellAll() {
	n.mu.Lock()
	ids := make([]string, 0, len(n.waiting))
	for id := range n.waiting {
		ids = append(ids, id)
	}
	n.mu.Unlock()
	for _, id := range ids {
		n.tell(id)
	}
}

// listen passes on what PostgreSQL tells, until the context ends.
func (n *notices) listen(ctx context.Context, tasks *tasks) {
	for ctx.Err() == nil {
		if err := n.listenOnce(ctx, tasks); err != nil && ctx.Err() == nil {
			slog.Warn("notices are interrupted", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (n *notices) listenOnce(ctx context.Context, tasks *tasks) error {
	pooled, err := tasks.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack() // it listens for good, so nobody else may have it
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+noticeChannel); err != nil {
		return err
	}
	n.tellAll() // what was told before is lost
	for {
		notice, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		n.tell(notice.Payload)
	}
}
