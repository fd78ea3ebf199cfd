package bonafide

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"bonafide/clients/go/audioanalyzer"
)

const partBytes = 256 * 1024

var errOver = errors.New("the context has ended")

// send returns what the recording's reader returned, if that is not its end. The service may end the call before it has
// everything, and so may the context: the reason is then in what is received.
func send(
	ctx context.Context,
	stream grpc.BidiStreamingClient[audioanalyzer.AnalyzeUploadRequest, audioanalyzer.AnalyzeAudioEvent],
	recording io.Reader,
	taskID string,
	how analysis,
) error {
	read := fill
	if !rewinds(recording) {
		read = func(buffer []byte, from io.Reader) (int, error) { return fillWithin(ctx, buffer, from) }
	}
	for buffer := make([]byte, partBytes); ; {
		n, err := read(buffer, recording)
		if errors.Is(err, errOver) {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		if n > 0 {
			part := &audioanalyzer.AnalyzeUploadRequest{
				Data: buffer[:n], TaskId: taskID, HopSeconds: how.hopSeconds, ChannelMode: how.channelMode,
			}
			if sent := stream.Send(part); errors.Is(sent, io.EOF) {
				return nil
			} else if sent != nil {
				return failure(ctx, sent, nil)
			}
		}
		if err == io.EOF {
			return stream.CloseSend()
		}
	}
}

// fill reads until the buffer is full or the reader ends. Unlike io.ReadFull it tells an end from io.ErrUnexpectedEOF,
// which the body of a request returns whose sender has left: the beginning of a recording must not be judged as all of it.
func fill(buffer []byte, from io.Reader) (n int, err error) {
	for n < len(buffer) && err == nil {
		var read int
		read, err = from.Read(buffer[n:])
		n += read
	}
	return n, err
}

// rewinds tells whether a caller may send the recording again. Such a reader, of a file or of memory, is never silent, and
// must not be read any more once the call has returned.
func rewinds(recording io.Reader) bool {
	seeker, ok := recording.(io.Seeker)
	if !ok {
		return false
	}
	_, err := seeker.Seek(0, io.SeekCurrent)
	return err == nil
}

// fillWithin is fill for a reader that may be silent: it is left behind when the context ends, and errOver returned.
func fillWithin(ctx context.Context, buffer []byte, from io.Reader) (int, error) {
	type filled struct {
		n   int
		err error
	}
	done := make(chan filled, 1)
	go func() {
		n, err := fill(buffer, from)
		done <- filled{n, err}
	}()
	select {
	case <-ctx.Done():
		return 0, errOver
	case found := <-done:
		return found.n, found.err
	}
}
