package bonafide

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"bonafide/clients/go/audioanalyzer"
	"bonafide/clients/go/jobs"
	"bonafide/clients/go/liveness"
)

func misread(err error) bool {
	var failed *Error
	return errors.As(err, &failed) && failed.Code == "internal" && !failed.Temporary() &&
		strings.Contains(failed.Message, "newer than this client, or no Bonafide service")
}

func TestALabelThatIsNotKnownIsAnError(t *testing.T) {
	for _, label := range []string{"", "SPOOF", "real", "bonafide "} {
		p := &peer{
			report: &audioanalyzer.AnalyzeAudioResponse{Label: label},
			photo:  &liveness.LivenessResponse{Success: true, PredictedClass: label},
		}
		client := dial(t, serve(t, p, nil))
		answer, err := client.AnalyzeObject(t.Context(), "calls", "a.wav", "")
		if answer != nil || !misread(err) {
			t.Errorf("%q: %v, %v", label, answer, err)
		}
		photo, err := client.PredictLiveness(t.Context(), nil)
		if photo != nil || !misread(err) {
			t.Errorf("%q: %v, %v", label, photo, err)
		}
		upload, err := client.AnalyzeUpload(t.Context(), strings.NewReader("x"), "")
		if upload != nil || !misread(err) {
			t.Errorf("%q: %v, %v", label, upload, err)
		}
		var events []*audioanalyzer.AnalyzeAudioEvent
		var last error
		for event, err := range client.StreamObject(t.Context(), "calls", "a.wav", "") {
			events, last = append(events, event), err
		}
		if len(events) != 2 || events[1] != nil || !misread(last) {
			t.Errorf("%q: %v, %v", label, events, last)
		}
	}
}

func TestALiveLabelThatIsNotKnownIsAnError(t *testing.T) {
	for name, p := range map[string]*peer{
		"window":  {window: &audioanalyzer.LiveWindow{Label: "real", RunningLabel: "bonafide"}},
		"running": {window: &audioanalyzer.LiveWindow{Label: "bonafide", RunningLabel: "real"}},
		"summary": {live: &audioanalyzer.LiveSummary{Label: "real"}},
	} {
		live, err := dial(t, serve(t, p, nil)).Live(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(live.Flush(), live.End()); err != nil {
			t.Fatal(err)
		}
		var last error
		for event, err := range live.Events() {
			if last = err; (event == nil) == (err == nil) {
				t.Errorf("%s: %v, %v", name, event, err)
			}
		}
		if !misread(last) {
			t.Errorf("%s: %v", name, last)
		}
	}
}

func TestWhatCannotBeUnderstoodEndsTheSendingToo(t *testing.T) {
	p := &peer{window: &audioanalyzer.LiveWindow{Label: "real", RunningLabel: "real"}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	live, err := dial(t, serve(t, p, nil)).Live(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := live.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, err := range live.Events() {
		if !misread(err) {
			t.Error(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); live.Send([]byte{0, 0}) == nil; {
		if time.Now().After(deadline) {
			t.Fatal("audio is still taken")
		}
	}
}

func TestAWindowThatCouldNotBeJudgedHasNoLabelAndIsNoError(t *testing.T) {
	event := &audioanalyzer.LiveAudioEvent{Event: &audioanalyzer.LiveAudioEvent_Window{
		Window: &audioanalyzer.LiveWindow{ErrorMessage: "the model gave no score"},
	}}
	if err := misreadLive(event); err != nil {
		t.Error(err)
	}
}

func TestWhatContradictsItselfIsNoVerdictOnAVoice(t *testing.T) {
	good := func() *audioanalyzer.AnalyzeAudioResponse {
		chunk := &audioanalyzer.ChunkResult{Label: "spoof", Score: proto.Float32(1)}
		silent := &audioanalyzer.ChunkResult{Label: "no_speech"}
		return &audioanalyzer.AnalyzeAudioResponse{
			Label: "spoof", Score: proto.Float32(0.9), Decision: "uncertain", RequestId: "req-9",
			Chunks:     []*audioanalyzer.ChunkResult{chunk, silent},
			Suspicious: []*audioanalyzer.SuspiciousStretch{{Score: 0.5}},
			Channels: []*audioanalyzer.ChannelVerdict{
				{Label: "bonafide", Decision: "spoof", Chunks: []*audioanalyzer.ChunkResult{{Label: "bonafide"}}},
			},
		}
	}
	if err := misreadReport(good()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*audioanalyzer.AnalyzeAudioResponse){
		"score over 1":        func(r *audioanalyzer.AnalyzeAudioResponse) { r.Score = proto.Float32(1.5) },
		"NaN":                 func(r *audioanalyzer.AnalyzeAudioResponse) { r.Score = proto.Float32(float32(math.NaN())) },
		"decision":            func(r *audioanalyzer.AnalyzeAudioResponse) { r.Decision = "live" },
		"ratio":               func(r *audioanalyzer.AnalyzeAudioResponse) { r.Llr = proto.Float32(float32(math.Inf(1))) },
		"member":              func(r *audioanalyzer.AnalyzeAudioResponse) { r.MemberScores = map[string]float32{"a": -1} },
		"stretch":             func(r *audioanalyzer.AnalyzeAudioResponse) { r.Suspicious[0].Score = 2 },
		"chunk":               func(r *audioanalyzer.AnalyzeAudioResponse) { r.Chunks[0].Label = "fake" },
		"score of no speech":  func(r *audioanalyzer.AnalyzeAudioResponse) { r.Chunks[1].Score = proto.Float32(0) },
		"channel":             func(r *audioanalyzer.AnalyzeAudioResponse) { r.Channels[0].Label = "live" },
		"channel's decision":  func(r *audioanalyzer.AnalyzeAudioResponse) { r.Channels[0].Decision = "live" },
		"chunk of a channel":  func(r *audioanalyzer.AnalyzeAudioResponse) { r.Channels[0].Chunks[0].Label = "live" },
		"score of a channel":  func(r *audioanalyzer.AnalyzeAudioResponse) { r.Channels[0].Score = proto.Float32(-1) },
		"member of a channel": func(r *audioanalyzer.AnalyzeAudioResponse) { r.Channels[0].MemberScores = map[string]float32{"a": 2} },
	} {
		report := good()
		spoil(report)
		if err := misreadReport(report); !misread(err) || !strings.Contains(err.Error(), "req-9") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatContradictsItselfIsNoVerdictOnAPhoto(t *testing.T) {
	good := func() *liveness.LivenessResponse {
		return &liveness.LivenessResponse{
			Success: true, IsLive: true, PredictedClass: "live", Confidence: 0.9, Decision: "bonafide",
			Probabilities: &liveness.LivenessProbabilities{Fake: 0.1, Live: 0.9},
		}
	}
	if err := misreadPhoto(good()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*liveness.LivenessResponse){
		"live and fake": func(r *liveness.LivenessResponse) { r.IsLive = false },
		"fake and live": func(r *liveness.LivenessResponse) { r.PredictedClass = "fake" },
		"decision":      func(r *liveness.LivenessResponse) { r.Decision = "live" },
		"confidence":    func(r *liveness.LivenessResponse) { r.Confidence = 90 },
		"probability":   func(r *liveness.LivenessResponse) { r.Probabilities.Fake = 10 },
		"member":        func(r *liveness.LivenessResponse) { r.MemberScores = map[string]float32{"a": 2} },
	} {
		photo := good()
		spoil(photo)
		if err := misreadPhoto(photo); !misread(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAResultOfAJobThatIsNotUnderstoodIsAnErrorOfItAlone(t *testing.T) {
	for _, result := range []*jobs.JobResult{
		{Key: "a", Verdict: &audioanalyzer.AnalyzeAudioResponse{Label: "real", RequestId: "req-9"}},
		{Key: "a", Photo: &liveness.LivenessResponse{Success: true, PredictedClass: "real", RequestId: "req-9"}},
		{Key: "a"},
	} {
		got := understood(result)
		if got.GetKey() != "a" || got.Verdict != nil || got.Photo != nil || got.GetError().GetCode() != "internal" {
			t.Errorf("%v", got)
		}
		if !strings.Contains(got.GetError().GetMessage(), "newer than this client") {
			t.Errorf("%v", got)
		}
	}
	for _, result := range []*jobs.JobResult{
		{Verdict: &audioanalyzer.AnalyzeAudioResponse{Label: "spoof"}},
		{Photo: &liveness.LivenessResponse{ErrorCode: "unreadable_media"}},
		{Error: &jobs.JobError{Code: "object_not_found"}},
	} {
		if got := understood(result); !proto.Equal(got, result) {
			t.Errorf("%v", got)
		}
	}
}
