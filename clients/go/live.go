package bonafide

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"

	"bonafide/clients/go/audioanalyzer"
)

// Live is speech that is judged while it is spoken. One goroutine may send while another reads the events.
type Live struct {
	ctx    context.Context
	stream grpc.BidiStreamingClient[audioanalyzer.LiveAudioRequest, audioanalyzer.LiveAudioEvent]
	cancel context.CancelFunc
}

// Live begins; it lasts until End and the summary, and is broken off when the context is cancelled. It has no deadline
// but the context's.
func (c *Client) Live(ctx context.Context, config *audioanalyzer.LiveAudioConfig) (*Live, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.audio.AnalyzeLive(ctx)
	if err != nil {
		cancel()
		return nil, failure(ctx, err, nil)
	}
	live := &Live{ctx, stream, cancel}
	err = live.send(&audioanalyzer.LiveAudioRequest{Message: &audioanalyzer.LiveAudioRequest_Config{Config: config}})
	if err != nil && !errors.Is(err, io.EOF) { // of a call that is refused at once Events says why
		cancel()
		return nil, err
	}
	return live, nil
}

// Send sends samples in the configured encoding, at most 1 MiB. io.EOF means that the call has ended; Events says why.
func (l *Live) Send(samples []byte) error {
	return l.send(&audioanalyzer.LiveAudioRequest{Message: &audioanalyzer.LiveAudioRequest_Audio{Audio: samples}})
}

// Flush has what is buffered judged now, although it is less than a window.
func (l *Live) Flush() error {
	return l.send(&audioanalyzer.LiveAudioRequest{
		Message: &audioanalyzer.LiveAudioRequest_Flush{Flush: &audioanalyzer.LiveAudioFlush{}},
	})
}

// End says that nothing more comes; the summary follows.
func (l *Live) End() error { return l.stream.CloseSend() }

// Events yields each window as it is judged, then the summary. An error, which a call that ends without a summary is
// too, is the last thing it yields.
func (l *Live) Events() iter.Seq2[*audioanalyzer.LiveAudioEvent, error] {
	return func(yield func(*audioanalyzer.LiveAudioEvent, error) bool) {
		complete := false
		for event, err := range received(l.ctx, l.stream, misreadLive) {
			complete = event.GetSummary() != nil || err != nil
			if err != nil {
				l.cancel() // the service may still go on, and whoever sends must learn that nobody listens
			}
			if !yield(event, err) {
				if complete {
					l.cancel() // nothing more comes, and gRPC would keep the call until its end is read
				}
				return
			}
		}
		l.cancel()
		if !complete {
			yield(nil, errTorn)
		}
	}
}

func (l *Live) send(request *audioanalyzer.LiveAudioRequest) error {
	err := l.stream.Send(request)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return failure(l.ctx, err, nil)
}
