package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	bonafide "bonafide/clients/go"
)

func TestOnlyTheRecordingsOwnFaultsAreFinal(t *testing.T) {
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		want := code == codes.InvalidArgument || code == codes.NotFound || code == codes.PermissionDenied
		if got := isFinal(&bonafide.Error{Status: code}); got != want {
			t.Errorf("%v: %v", code, got)
		}
	}
	if !isFinal(&bonafide.Error{Code: "too_large", Status: codes.ResourceExhausted}) {
		t.Error("a message over a limit of gRPC will never pass")
	}
	if isFinal(errors.New("no status at all")) {
		t.Error("an error of unknown kind may pass")
	}
}

func TestTheWaitGrowsAndIsAtLeastWhatTheServiceAsksFor(t *testing.T) {
	gone := status.Error(codes.Unavailable, "gone")
	for attempts, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 7: mostWait, 300: mostWait} {
		if got := waitAfter(attempts, gone); got != want {
			t.Errorf("attempt %d: %v", attempts, got)
		}
	}
	busy := &bonafide.Error{Status: codes.ResourceExhausted, RetryAfter: 90 * time.Second}
	if got := waitAfter(1, busy); got != 90*time.Second {
		t.Error(got)
	}
}

func TestATornUploadIsNoEnd(t *testing.T) {
	torn := whole{io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))}
	if _, err := io.ReadAll(torn); !errors.Is(err, errCut) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if content, err := io.ReadAll(whole{strings.NewReader("all")}); err != nil || string(content) != "all" {
		t.Error(err)
	}
}

func TestNoticesReachAllWhoWait(t *testing.T) {
	n := newNotices()
	first, endFirst := n.subscribe("a")
	second, endSecond := n.subscribe("a")
	other, endOther := n.subscribe("b")
	n.tell("a")
	n.tell("a") // nobody has looked yet, and nothing blocks
	<-first
	<-second
	select {
	case <-other:
		t.Error("told of another's task")
	default:
	}
	n.tellAll()
	<-other
	endFirst()
	endSecond()
	endOther()
	if len(n.waiting) != 0 {
		t.Error("who does not wait any more is remembered")
	}
}
