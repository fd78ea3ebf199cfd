package bonafide

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"bonafide/clients/go/audioanalyzer"
	"bonafide/clients/go/liveness"
)

// peer speaks the service's contract and does as a test tells it: it judges nothing.
type peer struct {
	audioanalyzer.UnimplementedAudioAnalysisServer
	liveness.UnimplementedLivenessServiceServer

	mu       sync.Mutex
	failures []error       // consumed one by one, by calls of any kind
	trailer  metadata.MD   // of calls that fail
	headers  []metadata.MD // of all calls
	limits   []time.Duration
	received []byte
	modes    []string
	torn     bool // streams end without a summary
	photo    *liveness.LivenessResponse
	report   *audioanalyzer.AnalyzeAudioResponse // on a recording; nil: spoof
	window   *audioanalyzer.LiveWindow           // without its sequence; nil: bona fide
	live     *audioanalyzer.LiveSummary          // nil: bona fide
}

func (p *peer) begin(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	header, _ := metadata.FromIncomingContext(ctx)
	p.headers = append(p.headers, header)
	deadline, _ := ctx.Deadline()
	p.limits = append(p.limits, time.Until(deadline))
	if len(p.failures) == 0 {
		return nil
	}
	err := p.failures[0]
	p.failures = p.failures[1:]
	_ = grpc.SetTrailer(ctx, p.trailer)
	return err
}

func (p *peer) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.headers)
}

func (p *peer) summary() *audioanalyzer.AnalyzeAudioResponse {
	if p.report != nil {
		return p.report
	}
	return &audioanalyzer.AnalyzeAudioResponse{Label: "spoof", RequestId: "req-7"}
}

func (p *peer) AnalyzeAudio(
	ctx context.Context, request *audioanalyzer.AnalyzeAudioRequest,
) (*audioanalyzer.AnalyzeAudioResponse, error) {
	p.modes = append(p.modes, request.GetChannelMode())
	return p.summary(), p.begin(ctx)
}

func (p *peer) events(send func(*audioanalyzer.AnalyzeAudioEvent) error) error {
	chunk := &audioanalyzer.AnalyzeAudioEvent{
		Event: &audioanalyzer.AnalyzeAudioEvent_Chunk{Chunk: &audioanalyzer.ChunkResult{ChunkId: "chunk_0", Label: "spoof"}},
	}
	if err := send(chunk); err != nil || p.torn {
		return err
	}
	return send(&audioanalyzer.AnalyzeAudioEvent{
		Event: &audioanalyzer.AnalyzeAudioEvent_Summary{Summary: p.summary()},
	})
}

func (p *peer) AnalyzeAudioStream(
	_ *audioanalyzer.AnalyzeAudioRequest, stream grpc.ServerStreamingServer[audioanalyzer.AnalyzeAudioEvent],
) error {
	if err := p.begin(stream.Context()); err != nil {
		return err
	}
	return p.events(stream.Send)
}

func (p *peer) AnalyzeUpload(
	stream grpc.BidiStreamingServer[audioanalyzer.AnalyzeUploadRequest, audioanalyzer.AnalyzeAudioEvent],
) error {
	if err := p.begin(stream.Context()); err != nil {
		return err
	}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return p.events(stream.Send)
		}
		if err != nil {
			return err
		}
		p.received = append(p.received, part.GetData()...)
		p.modes = append(p.modes, part.GetChannelMode())
	}
}

func (p *peer) AnalyzeLive(
	stream grpc.BidiStreamingServer[audioanalyzer.LiveAudioRequest, audioanalyzer.LiveAudioEvent],
) error {
	if err := p.begin(stream.Context()); err != nil {
		return err
	}
	for sequence := uint64(0); ; {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) && p.torn {
			return nil
		}
		if errors.Is(err, io.EOF) {
			end := cmp.Or(p.live, &audioanalyzer.LiveSummary{Label: "bonafide", RequestId: "req-8"})
			return stream.Send(&audioanalyzer.LiveAudioEvent{Event: &audioanalyzer.LiveAudioEvent_Summary{Summary: end}})
		}
		if err != nil {
			return err
		}
		if request.GetAudio() == nil && request.GetFlush() == nil {
			continue
		}
		window := cmp.Or(p.window, &audioanalyzer.LiveWindow{Label: "bonafide", RunningLabel: "bonafide"})
		window.Sequence = sequence
		sequence++
		event := &audioanalyzer.LiveAudioEvent{Event: &audioanalyzer.LiveAudioEvent_Window{Window: window}}
		if err := stream.Send(event); err != nil {
			return err
		}
	}
}

func (p *peer) GetVoiceModelStatus(
	ctx context.Context, _ *audioanalyzer.VoiceModelStatusRequest,
) (*audioanalyzer.VoiceModelStatusResponse, error) {
	return &audioanalyzer.VoiceModelStatusResponse{IsLoaded: true}, p.begin(ctx)
}

func (p *peer) PredictLiveness(
	ctx context.Context, _ *liveness.LivenessRequest,
) (*liveness.LivenessResponse, error) {
	return p.photo, p.begin(ctx)
}

func (p *peer) GetModelStatus(
	ctx context.Context, _ *liveness.ModelStatusRequest,
) (*liveness.ModelStatusResponse, error) {
	return &liveness.ModelStatusResponse{IsLoaded: true}, p.begin(ctx)
}

// serve starts a server with the peer; it is stopped with the test.
func serve(t *testing.T, p *peer, config *tls.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var options []grpc.ServerOption
	if config != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	server := grpc.NewServer(options...)
	audioanalyzer.RegisterAudioAnalysisServer(server, p)
	liveness.RegisterLivenessServiceServer(server, p)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func dial(t *testing.T, target string, options ...Option) *Client {
	t.Helper()
	client, err := Dial(target, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func unavailable() error { return status.Error(codes.Unavailable, "gone") }

// certificate signs itself, for 127.0.0.1.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "peer"},
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}
}
