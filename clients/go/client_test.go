package bonafide

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"bonafide/clients/go/audioanalyzer"
	"bonafide/clients/go/liveness"
)

func TestAnswers(t *testing.T) {
	p := &peer{photo: &liveness.LivenessResponse{Success: true, IsLive: true, PredictedClass: "live"}}
	client := dial(t, serve(t, p, nil))
	ctx := t.Context()
	if report, err := client.AnalyzeObject(ctx, "calls", "a.wav", "task"); err != nil || report.GetLabel() != "spoof" {
		t.Errorf("%v, %v", report, err)
	}
	recording := bytes.Repeat([]byte("0123456789"), 100_000)
	if report, err := client.AnalyzeUpload(ctx, bytes.NewReader(recording), ""); err != nil || report.GetLabel() != "spoof" {
		t.Errorf("%v, %v", report, err)
	}
	if !bytes.Equal(p.received, recording) {
		t.Errorf("%d bytes of the upload arrived", len(p.received))
	}
	if answer, err := client.PredictLiveness(ctx, []byte("photo")); err != nil || !answer.GetIsLive() {
		t.Errorf("%v, %v", answer, err)
	}
	if voice, err := client.VoiceStatus(ctx); err != nil || !voice.GetIsLoaded() {
		t.Errorf("%v, %v", voice, err)
	}
	if face, err := client.FaceStatus(ctx); err != nil || !face.GetIsLoaded() {
		t.Errorf("%v, %v", face, err)
	}
	if serving, err := client.Serving(ctx, ""); err != nil || !serving {
		t.Errorf("%v, %v", serving, err)
	}
}

func TestStreams(t *testing.T) {
	p := &peer{}
	client := dial(t, serve(t, p, nil))
	var seen []string
	for event, err := range client.StreamObject(t.Context(), "calls", "a.wav", "") {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, event.GetChunk().GetChunkId()+event.GetSummary().GetLabel())
	}
	if !slices.Equal(seen, []string{"chunk_0", "spoof"}) {
		t.Error(seen)
	}
	for range client.StreamObject(t.Context(), "calls", "a.wav", "") {
		break // leaving the loop is allowed, and ends the call
	}
}

func TestAStreamWithoutAVerdictIsAnError(t *testing.T) {
	client := dial(t, serve(t, &peer{torn: true}, nil))
	var last error
	for _, err := range client.StreamObject(t.Context(), "calls", "a.wav", "") {
		last = err
	}
	if !errors.Is(last, errTorn) {
		t.Error(last)
	}
	if _, err := client.AnalyzeUpload(t.Context(), strings.NewReader("x"), ""); !errors.Is(err, errTorn) {
		t.Error(err)
	}
	live, err := client.Live(t.Context(), &audioanalyzer.LiveAudioConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(live.Send([]byte{0, 0}), live.End()); err != nil {
		t.Fatal(err)
	}
	for _, err := range live.Events() {
		last = err
	}
	var failed *Error
	if !errors.As(last, &failed) || failed.Code != "internal" {
		t.Error(last)
	}
}

// ended is a stream that the service has ended already.
type ended struct{ grpc.ClientStream }

func (e ended) SendMsg(any) error { return io.EOF }

func TestALiveCallThatIsRefusedAtOnceSaysWhy(t *testing.T) {
	p := &peer{
		failures: []error{status.Error(codes.Unauthenticated, "no key")},
		trailer:  metadata.Pairs("bonafide-error-code", "unauthenticated"),
	}
	over := func(
		ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, next grpc.Streamer,
		options ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		stream, err := next(ctx, desc, conn, method, options...)
		return ended{stream}, err
	}
	client := dial(t, serve(t, p, nil), WithDialOptions(grpc.WithStreamInterceptor(over)))
	live, err := client.Live(t.Context(), &audioanalyzer.LiveAudioConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var failed *Error
	for _, err := range live.Events() {
		if !errors.As(err, &failed) || failed.Code != "unauthenticated" {
			t.Error(err)
		}
	}
	if failed == nil {
		t.Error("no error")
	}
}

func TestTheChoiceOfChannels(t *testing.T) {
	p := &peer{}
	client := dial(t, serve(t, p, nil))
	for _, given := range [][]AnalysisOption{nil, {WithChannels("separate"), WithHop(2)}} {
		if _, err := client.AnalyzeObject(t.Context(), "calls", "a.wav", "", given...); err != nil {
			t.Error(err)
		}
		if _, err := client.AnalyzeUpload(t.Context(), strings.NewReader("x"), "", given...); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"", "", "separate", "separate"}; !slices.Equal(p.modes, want) {
		t.Errorf("%q, not %q", p.modes, want)
	}
}

func TestLive(t *testing.T) {
	client := dial(t, serve(t, &peer{}, nil))
	live, err := client.Live(t.Context(), &audioanalyzer.LiveAudioConfig{SampleRate: 16_000})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(live.Send([]byte{0, 0}), live.Flush(), live.End()); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for event, err := range live.Events() {
		if err != nil {
			t.Fatal(err)
		}
		if window := event.GetWindow(); window != nil {
			seen = append(seen, fmt.Sprint(window.GetSequence()))
		} else {
			seen = append(seen, event.GetSummary().GetLabel())
		}
	}
	if !slices.Equal(seen, []string{"0", "1", "bonafide"}) {
		t.Error(seen)
	}
}

func TestUnavailableIsRetriedAndAnUploadIsNot(t *testing.T) {
	p := &peer{failures: []error{unavailable(), unavailable()}}
	client := dial(t, serve(t, p, nil))
	if _, err := client.AnalyzeObject(t.Context(), "calls", "a.wav", ""); err != nil || p.calls() != 3 {
		t.Errorf("%v after %d calls", err, p.calls())
	}
	p.failures, p.photo = []error{unavailable()}, &liveness.LivenessResponse{Success: true, PredictedClass: "fake"}
	if _, err := client.PredictLiveness(t.Context(), make([]byte, 3<<20)); err != nil || p.calls() != 5 {
		t.Errorf("%v after %d calls", err, p.calls())
	}
	p.failures = []error{unavailable()}
	if _, err := client.AnalyzeUpload(t.Context(), strings.NewReader("x"), ""); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
}

func TestErrorsSayWhatTheServiceSaid(t *testing.T) {
	p := &peer{
		failures: []error{status.Error(codes.ResourceExhausted, "8 voice calls are in progress")},
		trailer:  metadata.Pairs("bonafide-error-code", "overloaded", "x-request-id", "req-7", "retry-after-s", "2.5"),
	}
	client := dial(t, serve(t, p, nil))
	_, err := client.AnalyzeObject(t.Context(), "calls", "a.wav", "")
	var failed *Error
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	want := Error{"overloaded", codes.ResourceExhausted, "8 voice calls are in progress", "req-7", 2500 * time.Millisecond}
	if *failed != want || !failed.Temporary() || status.Code(err) != codes.ResourceExhausted {
		t.Errorf("%+v", failed)
	}
	if text := err.Error(); !strings.Contains(text, "req-7") || !strings.Contains(text, "ResourceExhausted") {
		t.Error(text)
	}
}

// A recording of hours with overlapping chunks has an answer over 4 MiB, gRPC's own limit.
func TestALargeAnswerArrives(t *testing.T) {
	p := &peer{report: &audioanalyzer.AnalyzeAudioResponse{Label: "spoof", Evidence: strings.Repeat("x", 5<<20)}}
	report, err := dial(t, serve(t, p, nil)).AnalyzeObject(t.Context(), "calls", "a.wav", "")
	if err != nil || len(report.GetEvidence()) != 5<<20 {
		t.Error(err)
	}
}

func TestAMessageOverALimitOfGRPCIsTooLargeAndNotTemporary(t *testing.T) {
	p := &peer{report: &audioanalyzer.AnalyzeAudioResponse{Label: "spoof", Evidence: strings.Repeat("x", 5<<20)}}
	limited := WithDialOptions(grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1 << 20)))
	_, received := dial(t, serve(t, p, nil), limited).AnalyzeObject(t.Context(), "calls", "a.wav", "")
	_, sent := dial(t, serve(t, p, nil)).PredictLiveness(t.Context(), make([]byte, 5<<20))
	for _, err := range []error{received, sent} {
		var failed *Error
		if !errors.As(err, &failed) || failed.Code != "too_large" || failed.Temporary() {
			t.Errorf("%+v", err)
		}
	}
}

func TestAnUploadThatIsRefusedOnItsWaySaysWhy(t *testing.T) {
	p := &peer{
		failures: []error{status.Error(codes.InvalidArgument, "too large")},
		trailer:  metadata.Pairs("bonafide-error-code", "too_large"),
	}
	client := dial(t, serve(t, p, nil))
	endless := iotest.DataErrReader(bytes.NewReader(make([]byte, 64<<20)))
	_, err := client.AnalyzeUpload(t.Context(), endless, "")
	var failed *Error
	if !errors.As(err, &failed) || failed.Code != "too_large" {
		t.Error(err)
	}
}

func TestARecordingThatCannotBeReadIsItsReadersError(t *testing.T) {
	client := dial(t, serve(t, &peer{}, nil))
	broken := errors.New("disk gone")
	if _, err := client.AnalyzeUpload(t.Context(), iotest.ErrReader(broken), ""); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestARecordingThatIsTornIsNotJudged(t *testing.T) {
	client := dial(t, serve(t, &peer{}, nil))
	// What net/http gives of a body whose sender left before its end.
	torn := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
	answer, err := client.AnalyzeUpload(t.Context(), torn, "")
	if answer != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v %v", answer, err)
	}
}

func TestOnlyATimeThatCanBeWaitedIsOne(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1.5": 1500 * time.Millisecond, "0": 0, "-3": 0, "NaN": 0, "inf": 0, "1e300": 0, "soon": 0,
	} {
		var failed *Error
		err := failure(t.Context(), status.Error(codes.ResourceExhausted, "busy"), metadata.Pairs("retry-after-s", text))
		if !errors.As(err, &failed) || failed.RetryAfter != want {
			t.Errorf("%s: %v", text, failed.RetryAfter)
		}
	}
}

func TestAPhotoThatCannotBeJudgedIsAnError(t *testing.T) {
	p := &peer{photo: &liveness.LivenessResponse{ErrorCode: "unreadable_media", ErrorMessage: "no image"}}
	_, err := dial(t, serve(t, p, nil)).PredictLiveness(t.Context(), nil)
	var failed *Error
	if !errors.As(err, &failed) || failed.Code != "unreadable_media" || failed.Temporary() {
		t.Error(err)
	}
}

func TestDeadlines(t *testing.T) {
	p := &peer{photo: &liveness.LivenessResponse{Success: true, PredictedClass: "fake"}}
	client := dial(t, serve(t, p, nil))
	own, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	_, err1 := client.AnalyzeObject(t.Context(), "calls", "a.wav", "")
	_, err2 := client.PredictLiveness(t.Context(), nil)
	_, err3 := client.VoiceStatus(t.Context())
	_, err4 := client.VoiceStatus(own)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Duration{AudioTimeout, FaceTimeout, StatusTimeout, 100 * time.Second} {
		if got := p.limits[i]; got > want || got < want-9*time.Second {
			t.Errorf("call %d: %v of %v", i, got, want)
		}
	}
}

func TestTheKeyTravelsToThisMachineOrEncrypted(t *testing.T) {
	p := &peer{}
	address := serve(t, p, nil)
	if _, err := dial(t, address, WithKey("secret")).VoiceStatus(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.headers[0].Get("authorization"); !slices.Equal(got, []string{"Bearer secret"}) {
		t.Error(got)
	}
	if _, err := Dial("bank.example:50051", WithKey("secret")); err == nil {
		t.Error("a key may not travel in the clear")
	} else if !strings.Contains(err.Error(), "unencrypted") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	dial(t, "bank.example:50051", WithKey("secret"), WithTLS(&tls.Config{MinVersion: tls.VersionTLS12}))
	dial(t, "bank.example:50051", WithKeyInClear("secret"))
	if _, err := Dial(address, WithKey("two\nlines")); err == nil {
		t.Error("a key of two lines")
	}
	if text := fmt.Sprintf("%v %+v", keyCredentials{"secret", true}, keyCredentials{"secret", true}); strings.Contains(text, "secret") {
		t.Error(text)
	}
}

func TestLocalTargets(t *testing.T) {
	for _, target := range []string{"localhost:1", "127.0.0.1:1", "[::1]:1", "dns:///localhost:1", "unix:/run/b.sock"} {
		if !isLocal(target) {
			t.Error(target)
		}
	}
	for _, target := range []string{"bank.example:1", "10.0.0.1:1", "dns:///bank:1", "dns://10.0.0.1/localhost:1", "localhost.bank.example:1", "127.0.0.1"} {
		if isLocal(target) {
			t.Error(target)
		}
	}
}

func TestMutualTLSWithFiles(t *testing.T) {
	served, caller := certificate(t), certificate(t)
	folder := t.TempDir()
	ca, cert, key := filepath.Join(folder, "ca"), filepath.Join(folder, "cert"), filepath.Join(folder, "key")
	private, err := x509.MarshalPKCS8PrivateKey(caller.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(ca, "CERTIFICATE", served.Certificate[0])
	write(cert, "CERTIFICATE", caller.Certificate[0])
	write(key, "PRIVATE KEY", private)
	callers := x509.NewCertPool()
	callers.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caller.Certificate[0]}))
	address := serve(t, &peer{}, &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{served},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    callers,
	})

	config, err := TLSFiles(ca, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, address, WithTLS(config)).VoiceStatus(t.Context()); err != nil {
		t.Error(err)
	}
	unknown, err := TLSFiles(ca, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, address, WithTLS(unknown)).VoiceStatus(t.Context()); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	for _, wrong := range [][3]string{{"none", "", ""}, {key, "", ""}, {ca, cert, ""}, {ca, cert, ca}} {
		if _, err := TLSFiles(wrong[0], wrong[1], wrong[2]); err == nil {
			t.Error(wrong)
		}
	}
}

func TestCallsGoToAllAddressesInTurn(t *testing.T) {
	first, second := &peer{}, &peer{}
	addresses := resolver.State{Addresses: []resolver.Address{
		{Addr: serve(t, first, nil)}, {Addr: serve(t, second, nil)},
	}}
	names := manual.NewBuilderWithScheme("test")
	names.InitialState(addresses)
	client := dial(t, "test:///service", WithDialOptions(grpc.WithResolvers(names)))
	for deadline := time.Now().Add(30 * time.Second); first.calls() == 0 || second.calls() == 0; {
		if _, err := client.VoiceStatus(t.Context()); err != nil || time.Now().After(deadline) {
			t.Fatalf("%v; %d and %d calls", err, first.calls(), second.calls())
		}
	}
	before := first.calls() - second.calls()
	for range 10 {
		if _, err := client.VoiceStatus(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after := first.calls() - second.calls(); after != before {
		t.Errorf("the calls were not shared equally: %d, then %d", before, after)
	}
}
