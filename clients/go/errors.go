package bonafide

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	codeTooLarge    = "too_large"
	codeUnavailable = "unavailable"
	codeInternal    = "internal"
)

// What the service would say, for statuses that gRPC itself or a proxy made.
var wordOf = map[codes.Code]string{
	codes.InvalidArgument:   "invalid_request",
	codes.NotFound:          "object_not_found",
	codes.PermissionDenied:  "forbidden",
	codes.Unauthenticated:   "unauthenticated",
	codes.ResourceExhausted: "overloaded",
	codes.Unavailable:       codeUnavailable,
	codes.Canceled:          codeUnavailable, // by the service, which is going away
	codes.DeadlineExceeded:  "deadline_exceeded",
}

var errTorn = &Error{
	Code:    codeInternal,
	Status:  codes.Internal,
	Message: "the service ended the call without a verdict",
}

// Error is what the service said when a call failed.
type Error struct {
	// Code is the service's word for what happened, such as "overloaded"; where it said none, as when the call did not
	// reach it, the word for the status, and "too_large" of a message over a limit of gRPC. Empty when the context was
	// cancelled.
	Code   string
	Status codes.Code
	// Message is written for people.
	Message string
	// RequestID finds the call in the service's log.
	RequestID string
	// RetryAfter is when to come again; 0 when the service did not say.
	RetryAfter time.Duration
}

// Error says all of it in one line.
func (e *Error) Error() string {
	text := fmt.Sprintf("bonafide: %s: %s", e.Status, e.Message)
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// GRPCStatus lets status.Code and its kin understand the error.
func (e *Error) GRPCStatus() *status.Status { return status.New(e.Status, e.Message) }

// Temporary tells whether the same call may succeed later.
func (e *Error) Temporary() bool {
	if e.Code == codeTooLarge {
		return false
	}
	return e.Code == codeUnavailable || e.Status == codes.Unavailable || e.Status == codes.ResourceExhausted || e.Status == codes.DeadlineExceeded
}

func failure(ctx context.Context, err error, trailer metadata.MD) error {
	said, ok := status.FromError(err)
	if !ok {
		return err
	}
	first := func(name string) string {
		if values := trailer.Get(name); len(values) > 0 {
			return values[0]
		}
		return ""
	}
	failed := &Error{
		Code:      first("bonafide-error-code"),
		Status:    said.Code(),
		Message:   said.Message(),
		RequestID: first("x-request-id"),
	}
	if failed.Code == "" {
		failed.Code = ownWord(ctx, said)
	}
	// NaN and what no Duration holds fail this.
	seconds, err := strconv.ParseFloat(first("retry-after-s"), 64)
	if err == nil && seconds >= 0 && seconds < math.MaxInt64/float64(time.Second) {
		failed.RetryAfter = time.Duration(seconds * float64(time.Second))
	}
	return failed
}

// ownWord is the code of a status that came without one.
func ownWord(ctx context.Context, said *status.Status) string {
	switch {
	case said.Code() == codes.Canceled && errors.Is(ctx.Err(), context.Canceled):
		return ""
	case said.Code() == codes.ResourceExhausted && strings.Contains(said.Message(), "larger than max"):
		return codeTooLarge
	}
	return cmp.Or(wordOf[said.Code()], codeInternal)
}
