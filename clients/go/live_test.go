package bonafide

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"bonafide/clients/go/audioanalyzer"
)

func TestNothingIsLeftOfALiveCallWhoseSummaryWasTheLastThingRead(t *testing.T) {
	client := dial(t, serve(t, &peer{}, nil))
	before := 0
	for n := range 20 {
		live, err := client.Live(context.Background(), &audioanalyzer.LiveAudioConfig{Encoding: "pcm16"})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(live.Send([]byte("12")), live.End()); err != nil {
			t.Fatal(err)
		}
		for event, err := range live.Events() {
			if err != nil {
				t.Fatal(err)
			}
			if event.GetSummary() != nil {
				break
			}
		}
		if n == 0 {
			before = runtime.NumGoroutine()
		}
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+5; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d after the first call", runtime.NumGoroutine(), before)
		}
	}
}
