package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A task is open until it is done or failed. Nobody takes an open one before `not_before`: whoever judges it keeps
// moving that on, so that a task whose backend died is taken up again.
const schema = `
CREATE TABLE IF NOT EXISTS tasks (
	id            text PRIMARY KEY,
	object_key    text NOT NULL,
	status        text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done', 'failed')),
	attempts      integer NOT NULL DEFAULT 0,
	not_before    timestamptz NOT NULL DEFAULT now(),
	created_at    timestamptz NOT NULL DEFAULT now(),
	finished_at   timestamptz,
	result        jsonb,
	error_code    text,
	error_message text
);
CREATE INDEX IF NOT EXISTS tasks_open ON tasks (not_before) WHERE finished_at IS NULL;`

// Several backends may start at once, and CREATE ... IF NOT EXISTS does not like that.
const schemaLock = 0x626f6e61

const noticeChannel = "finished_tasks"

var errNoTask = errors.New("no such task")

// task is one recording to be judged.
type task struct {
	ID         string          `json:"task_id"`
	ObjectKey  string          `json:"-"`
	Status     string          `json:"status"`
	Attempts   int             `json:"attempts"`
	CreatedAt  time.Time       `json:"created_at"`
	FinishedAt *time.Time      `json:"finished_at"`
	Result     json.RawMessage `json:"result"`
	Error      *taskError      `json:"error"`
}

type taskError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (t *task) finished() bool { return t.FinishedAt != nil }

// tasks is the table of them. Safe for concurrent use, by several backends too.
type tasks struct{ pool *pgxpool.Pool }

func openTasks(ctx context.Context, url string) (*tasks, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", schemaLock); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, schema)
		return err
	})
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &tasks{pool}, nil
}

func (t *tasks) close() { t.pool.Close() }

// add notes a recording that is stored.
func (t *tasks) add(ctx context.Context, id, objectKey string) error {
	_, err := t.pool.Exec(ctx, "INSERT INTO tasks (id, object_key) VALUES ($1, $2)", id, objectKey)
	return err
}

// get returns errNoTask for an id that is not known.
func (t *tasks) get(ctx context.Context, id string) (*task, error) {
	found := &task{ID: id}
	var code, message *string
	err := t.pool.QueryRow(ctx, `
		SELECT object_key, status, attempts, created_at, finished_at, result, error_code, error_message
		FROM tasks WHERE id = $1`, id,
	).Scan(&found.ObjectKey, &found.Status, &found.Attempts, &found.CreatedAt, &found.FinishedAt, &found.Result,
		&code, &message)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNoTask
	}
	if code != nil && message != nil {
		found.Error = &taskError{*code, *message}
	}
	return found, err
}

// claim takes the task that has waited longest, for so long; nil when none waits.
func (t *tasks) claim(ctx context.Context, lease time.Duration) (*task, error) {
	claimed := &task{Status: "running"}
	err := t.pool.QueryRow(ctx, `
		UPDATE tasks SET status = 'running', attempts = attempts + 1, not_before = now() + $1
		WHERE id = (
			SELECT id FROM tasks WHERE finished_at IS NULL AND not_before <= now()
			ORDER BY not_before LIMIT 1 FOR UPDATE SKIP LOCKED
		)
		RETURNING id, object_key, attempts`, lease,
	).Scan(&claimed.ID, &claimed.ObjectKey, &claimed.Attempts)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return claimed, err
}

// Only the last who claimed a task may change it: that is what the number of attempts is compared for.

// keep holds a claimed task for so long from now.
func (t *tasks) keep(ctx context.Context, claimed *task, lease time.Duration) error {
	_, err := t.pool.Exec(ctx, `
		UPDATE tasks SET not_before = now() + $3 WHERE id = $1 AND attempts = $2 AND finished_at IS NULL`,
		claimed.ID, claimed.Attempts, lease)
	return err
}

// postpone gives a claimed task back, to be tried again after a while.
func (t *tasks) postpone(ctx context.Context, claimed *task, wait time.Duration) error {
	_, err := t.pool.Exec(ctx, `
		UPDATE tasks SET status = 'queued', not_before = now() + $3
		WHERE id = $1 AND attempts = $2 AND finished_at IS NULL`,
		claimed.ID, claimed.Attempts, wait)
	return err
}

// finish ends a claimed task with a result or an error, and tells all backends.
func (t *tasks) finish(ctx context.Context, claimed *task, result json.RawMessage, failed *taskError) error {
	status, code, message := "done", (*string)(nil), (*string)(nil)
	if failed != nil {
		status, code, message = "failed", &failed.Code, &failed.Message
	}
	_, err := t.pool.Exec(ctx, `
		WITH finished AS (
			UPDATE tasks SET status = $3, result = $4, error_code = $5, error_message = $6, finished_at = now()
			WHERE id = $1 AND attempts = $2 AND finished_at IS NULL RETURNING id
		)
		SELECT pg_notify('`+noticeChannel+`', id) FROM finished`,
		claimed.ID, claimed.Attempts, status, result, code, message)
	return err
}
