package bonafide

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestAStatusWithoutACodeHasTheServicesWord(t *testing.T) {
	for said, want := range map[codes.Code]string{
		codes.InvalidArgument: "invalid_request", codes.NotFound: "object_not_found", codes.PermissionDenied: "forbidden",
		codes.Unauthenticated: "unauthenticated", codes.ResourceExhausted: "overloaded", codes.Unavailable: "unavailable",
		codes.DeadlineExceeded: "deadline_exceeded", codes.Internal: "internal", codes.Unimplemented: "internal",
	} {
		var failed *Error
		if !errors.As(failure(t.Context(), status.Error(said, "by a proxy"), nil), &failed) || failed.Code != want {
			t.Errorf("%v: %+v", said, failed)
		}
	}
	p := &peer{}
	client := dial(t, serve(t, p, nil))
	passed, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := client.AnalyzeObject(passed, "b", "k", "")
	var failed *Error
	if !errors.As(err, &failed) || failed.Code != "deadline_exceeded" || p.calls() != 0 {
		t.Errorf("%+v", err)
	}
}

func TestWhatTheServiceCancelsMaySucceedLater(t *testing.T) {
	p := &peer{failures: []error{status.Error(codes.Canceled, "shutting down"), status.Error(codes.Canceled, "shutting down")}}
	client := dial(t, serve(t, p, nil))
	_, first := client.AnalyzeObject(t.Context(), "b", "k", "")
	var second error
	for _, second = range client.StreamObject(t.Context(), "b", "k", "") {
	}
	for _, err := range []error{first, second} {
		var failed *Error
		if !errors.As(err, &failed) || failed.Code != "unavailable" || !failed.Temporary() {
			t.Errorf("%+v", failed)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.AnalyzeObject(gone, "b", "k", "")
	var failed *Error
	if !errors.As(err, &failed) || failed.Code != "" || failed.Temporary() || failed.Status != codes.Canceled {
		t.Errorf("%+v", failed)
	}
}
