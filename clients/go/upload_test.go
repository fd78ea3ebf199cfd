package bonafide

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestAReaderThatIsSilentHoldsUpNoDeadline(t *testing.T) {
	client := dial(t, serve(t, &peer{}, nil))
	silent, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := client.AnalyzeUpload(ctx, silent, "task")
		done <- err
	}()
	select {
	case err := <-done:
		if status.Code(err) != codes.DeadlineExceeded {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still waits for the reader")
	}
}

func TestWhatCanBeSentAgainIsReadByTheCallItself(t *testing.T) {
	file, err := os.Open("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	body, _ := io.Pipe()
	for want, readers := range map[bool][]io.Reader{true: {file, bytes.NewReader(nil)}, false: {reader, body, new(bytes.Buffer)}} {
		for _, recording := range readers {
			if rewinds(recording) != want {
				t.Errorf("%T", recording)
			}
		}
	}
}
