// Package bonafide asks a Bonafide service whether voices and faces are real.
//
//	client, err := bonafide.Dial("dns:///bonafide:50051", bonafide.WithTLS(config), bonafide.WithKey(key))
//	report, err := client.AnalyzeObject(ctx, "calls", "2026/a.wav", taskID)
//
// Answers are the messages of the wire contract; one that could be misread, with an unknown label or a score that is no
// probability, is an *Error with the code "internal". A call whose context has no deadline is given one. Calls that are
// safe to repeat are repeated for about three seconds while the service is unavailable; an upload is not.
package bonafide

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"bonafide/clients/go/audioanalyzer"
	"bonafide/clients/go/jobs"
	"bonafide/clients/go/liveness"
)

// Deadlines of calls whose context has none; the service's own limits for such calls.
const (
	AudioTimeout  = 10 * time.Minute
	FaceTimeout   = 30 * time.Second
	StatusTimeout = 10 * time.Second
)

// A call is repeated only while its request is buffered, by itself up to 256 KiB: this holds the largest photo that the
// service takes by default.
const photoRetryBytes = 17 << 20

// Client is one balanced connection to a service. Safe for concurrent use; make one and keep it.
type Client struct {
	conn   *grpc.ClientConn
	audio  audioanalyzer.AudioAnalysisClient
	face   liveness.LivenessServiceClient
	jobs   jobs.JobsClient
	health grpc_health_v1.HealthClient
}

// Dial prepares a client; the connection is made with the first call. A target is host:port, or dns:///host:port,
// whose addresses are called in turn.
func Dial(target string, options ...Option) (*Client, error) {
	conn, err := connect(target, options)
	if err != nil {
		return nil, err
	}
	return &Client{
		conn:   conn,
		audio:  audioanalyzer.NewAudioAnalysisClient(conn),
		face:   liveness.NewLivenessServiceClient(conn),
		jobs:   jobs.NewJobsClient(conn),
		health: grpc_health_v1.NewHealthClient(conn),
	}, nil
}

// Close ends the connection and what runs on it.
func (c *Client) Close() error { return c.conn.Close() }

// AnalysisOption changes how a recording is judged.
type AnalysisOption func(*analysis)

type analysis struct {
	hopSeconds  *float64
	channelMode string
}

// WithHop starts a chunk every so many seconds, 0.5 to 4. Without it there is one every 4 s, and they do not overlap.
// Half of it finds spoofed parts more closely, at twice the cost.
func WithHop(seconds float64) AnalysisOption {
	return func(chosen *analysis) { chosen.hopSeconds = &seconds }
}

// WithChannels says which channels are judged: "auto" (without it: the two of a call apart, one voice on both as one),
// "mix", "separate", or the number of one, from 0. The answer is that on the worst, which Channel names; Channels has each.
func WithChannels(mode string) AnalysisOption {
	return func(chosen *analysis) { chosen.channelMode = mode }
}

func chosen(given []AnalysisOption) analysis {
	var found analysis
	for _, option := range given {
		option(&found)
	}
	return found
}

// AnalyzeObject judges a stored recording and answers when all of it is scored. The task id is the caller's own, for
// the service's log.
func (c *Client) AnalyzeObject(
	ctx context.Context, bucket, key, taskID string, given ...AnalysisOption,
) (*audioanalyzer.AnalyzeAudioResponse, error) {
	report, err := ask(ctx, AudioTimeout, c.audio.AnalyzeAudio, stored(bucket, key, taskID, given))
	if err != nil {
		return nil, err
	}
	if err := misreadReport(report); err != nil {
		return nil, err
	}
	return report, nil
}

// StreamObject judges a stored recording and yields each chunk as it is scored, then the summary. The call starts with
// the loop and is cancelled when the loop is left.
func (c *Client) StreamObject(
	ctx context.Context, bucket, key, taskID string, given ...AnalysisOption,
) iter.Seq2[*audioanalyzer.AnalyzeAudioEvent, error] {
	return func(yield func(*audioanalyzer.AnalyzeAudioEvent, error) bool) {
		ctx, cancel := within(ctx, AudioTimeout)
		defer cancel()
		stream, err := c.audio.AnalyzeAudioStream(ctx, stored(bucket, key, taskID, given))
		if err != nil {
			yield(nil, failure(ctx, err, nil))
			return
		}
		complete := false
		for event, err := range received(ctx, stream, misreadEvent) {
			complete = event.GetSummary() != nil
			if !yield(event, err) || err != nil {
				return
			}
		}
		if !complete {
			yield(nil, errTorn)
		}
	}
}

// AnalyzeUpload judges a recording that is sent along, read part by part. A reader that cannot be rewound, such as a pipe
// or the body of a request, may still be read when the context has ended, and is not to be used again then.
func (c *Client) AnalyzeUpload(
	ctx context.Context, recording io.Reader, taskID string, given ...AnalysisOption,
) (*audioanalyzer.AnalyzeAudioResponse, error) {
	ctx, cancel := within(ctx, AudioTimeout)
	defer cancel()
	stream, err := c.audio.AnalyzeUpload(ctx)
	if err != nil {
		return nil, failure(ctx, err, nil)
	}
	if err := send(ctx, stream, recording, taskID, chosen(given)); err != nil {
		return nil, err
	}
	for event, err := range received(ctx, stream, misreadEvent) {
		if err != nil {
			return nil, err
		}
		if summary := event.GetSummary(); summary != nil {
			return summary, nil
		}
	}
	return nil, errTorn
}

// PredictLiveness judges a photo of a face. A photo that cannot be judged is an *Error.
func (c *Client) PredictLiveness(ctx context.Context, photo []byte) (*liveness.LivenessResponse, error) {
	request := &liveness.LivenessRequest{ImageData: photo}
	answer, err := ask(ctx, FaceTimeout, c.face.PredictLiveness, request, grpc.MaxRetryRPCBufferSize(photoRetryBytes))
	if err != nil {
		return nil, err
	}
	if !answer.GetSuccess() {
		return nil, &Error{
			Code:      answer.GetErrorCode(),
			Status:    codes.InvalidArgument,
			Message:   answer.GetErrorMessage(),
			RequestID: answer.GetRequestId(),
		}
	}
	if err := misreadPhoto(answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// VoiceStatus tells which voice model answers.
func (c *Client) VoiceStatus(ctx context.Context) (*audioanalyzer.VoiceModelStatusResponse, error) {
	return ask(ctx, StatusTimeout, c.audio.GetVoiceModelStatus, &audioanalyzer.VoiceModelStatusRequest{})
}

// FaceStatus tells which face model answers.
func (c *Client) FaceStatus(ctx context.Context) (*liveness.ModelStatusResponse, error) {
	return ask(ctx, StatusTimeout, c.face.GetModelStatus, &liveness.ModelStatusRequest{})
}

// Serving tells whether the service takes calls: all of it (""), or one gRPC service of it by name.
func (c *Client) Serving(ctx context.Context, service string) (bool, error) {
	answer, err := ask(ctx, StatusTimeout, c.health.Check, &grpc_health_v1.HealthCheckRequest{Service: service})
	return answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING, err
}

func stored(bucket, key, taskID string, given []AnalysisOption) *audioanalyzer.AnalyzeAudioRequest {
	how := chosen(given)
	return &audioanalyzer.AnalyzeAudioRequest{
		MinioBucketName: bucket,
		MinioObjectKey:  key,
		TaskId:          taskID,
		HopSeconds:      how.hopSeconds,
		ChannelMode:     how.channelMode,
	}
}

func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

func ask[Request, Response any](
	ctx context.Context,
	timeout time.Duration,
	method func(context.Context, Request, ...grpc.CallOption) (Response, error),
	request Request,
	options ...grpc.CallOption,
) (Response, error) {
	ctx, cancel := within(ctx, timeout)
	defer cancel()
	var trailer metadata.MD
	answer, err := method(ctx, request, append(options, grpc.Trailer(&trailer))...)
	if err != nil {
		return answer, failure(ctx, err, trailer)
	}
	return answer, nil
}

type receiver[Event any] interface {
	Recv() (Event, error)
	Trailer() metadata.MD
}

// received yields what a stream brings until it ends; an error is the last thing it yields. What is misread is one.
func received[Event any](
	ctx context.Context, stream receiver[Event], misread func(Event) error,
) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var none Event
		for {
			event, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(none, failure(ctx, err, stream.Trailer()))
				return
			}
			if err := misread(event); err != nil {
				yield(none, err)
				return
			}
			if !yield(event, nil) {
				return
			}
		}
	}
}
