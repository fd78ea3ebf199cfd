package bonafide

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/grpc/codes"

	"bonafide/clients/go/audioanalyzer"
	"bonafide/clients/go/jobs"
	"bonafide/clients/go/liveness"
)

// What could turn a verdict into its opposite is refused here, before a caller compares a label with "spoof" and takes
// all others for bona fide. Nil: the answer can be understood.

var (
	voiceLabels = []string{"spoof", "bonafide", "no_speech"}
	decisions   = []string{"", "bonafide", "spoof", "uncertain"}
)

// judged is what a whole recording, a channel, a chunk and a window of speech have in common.
type judged interface {
	GetLabel() string
	GetScore() float32
	GetMemberScores() map[string]float32
	GetLlr() float32
}

func misreadReport(report *audioanalyzer.AnalyzeAudioResponse) error {
	return nonsense(report.GetRequestId(),
		ofWhole(report, report != nil && report.Score != nil, report.GetDecision(), report.GetSuspicious()),
		ofChunks(report.GetChunks()),
		ofChannels(report.GetChannels()))
}

// misreadEvent is of a step of a recording's analysis; a kind of step that is newer than this client is no verdict.
func misreadEvent(event *audioanalyzer.AnalyzeAudioEvent) error {
	if summary := event.GetSummary(); summary != nil {
		return misreadReport(summary)
	}
	if chunk := event.GetChunk(); chunk != nil {
		return nonsense("", ofChunks([]*audioanalyzer.ChunkResult{chunk}))
	}
	return nil
}

func misreadLive(event *audioanalyzer.LiveAudioEvent) error {
	if summary := event.GetSummary(); summary != nil {
		return nonsense(summary.GetRequestId(),
			ofWhole(summary, summary.Score != nil, summary.GetDecision(), summary.GetSuspicious()),
			ofWindows(summary.GetWindows()),
			ofChannels(summary.GetChannels()))
	}
	window := event.GetWindow()
	if window == nil || window.GetErrorMessage() != "" {
		return nil
	}
	return nonsense("",
		ofWindows([]*audioanalyzer.LiveWindow{window}),
		ofLabel(window.GetRunningLabel()),
		ofProbability(window.GetRunningScore()))
}

// misreadPhoto is of a photo that was judged.
func misreadPhoto(photo *liveness.LivenessResponse) error {
	class := ""
	if label := photo.GetPredictedClass(); label != "live" && label != "fake" || photo.GetIsLive() != (label == "live") {
		class = fmt.Sprintf("class %q with is_live %t", label, photo.GetIsLive())
	}
	return nonsense(photo.GetRequestId(),
		class,
		ofDecision(photo.GetDecision()),
		ofProbability(photo.GetProbabilities().GetFake()),
		ofProbability(photo.GetConfidence()),
		ofMembers(photo.GetMemberScores()),
		ofRatio(photo.GetLlr()))
}

// understood is a job's result as it is, or with an error in the place of a verdict that could be misread.
func understood(result *jobs.JobResult) *jobs.JobResult {
	var err error
	switch photo := result.GetPhoto(); {
	case result.GetError() != nil || photo != nil && !photo.GetSuccess():
	case photo != nil:
		err = misreadPhoto(photo)
	default:
		err = misreadReport(result.GetVerdict())
	}
	var failed *Error
	if !errors.As(err, &failed) {
		return result
	}
	told := &jobs.JobError{Code: failed.Code, Message: failed.Message, RequestId: failed.RequestID}
	return &jobs.JobResult{Index: result.GetIndex(), Bucket: result.GetBucket(), Key: result.GetKey(), Error: told}
}

// The rest says what is wrong, or nothing.

func ofWhole(verdict judged, hasScore bool, decision string, suspicious []*audioanalyzer.SuspiciousStretch) string {
	wrong := cmp.Or(ofSpeech(verdict, hasScore), ofDecision(decision))
	for _, stretch := range suspicious {
		wrong = cmp.Or(wrong, ofProbability(stretch.GetScore()))
	}
	return wrong
}

func ofChannels(channels []*audioanalyzer.ChannelVerdict) (wrong string) {
	for _, channel := range channels {
		whole := ofWhole(channel, channel.Score != nil, channel.GetDecision(), channel.GetSuspicious())
		wrong = cmp.Or(wrong, whole, ofChunks(channel.GetChunks()))
	}
	return wrong
}

func ofChunks(chunks []*audioanalyzer.ChunkResult) (wrong string) {
	for _, chunk := range chunks {
		wrong = cmp.Or(wrong, ofSpeech(chunk, chunk.Score != nil))
	}
	return wrong
}

func ofWindows(windows []*audioanalyzer.LiveWindow) (wrong string) {
	for _, window := range windows {
		wrong = cmp.Or(wrong, ofSpeech(window, window.Score != nil))
	}
	return wrong
}

func ofSpeech(verdict judged, hasScore bool) string {
	if verdict.GetLabel() == "no_speech" && hasScore {
		return "a score for what has no speech"
	}
	return cmp.Or(
		ofLabel(verdict.GetLabel()),
		ofProbability(verdict.GetScore()),
		ofMembers(verdict.GetMemberScores()),
		ofRatio(verdict.GetLlr()))
}

func ofLabel(label string) string {
	if slices.Contains(voiceLabels, label) {
		return ""
	}
	return fmt.Sprintf("label %q", label)
}

func ofDecision(decision string) string {
	if slices.Contains(decisions, decision) {
		return ""
	}
	return fmt.Sprintf("decision %q", decision)
}

func ofMembers(scores map[string]float32) (wrong string) {
	for _, score := range scores {
		wrong = cmp.Or(wrong, ofProbability(score))
	}
	return wrong
}

func ofProbability(score float32) string {
	if score >= 0 && score <= 1 { // NaN fails this too
		return ""
	}
	return fmt.Sprintf("score %g", score)
}

func ofRatio(llr float32) string {
	if math.IsNaN(float64(llr)) || math.IsInf(float64(llr), 0) {
		return fmt.Sprintf("log likelihood ratio %g", llr)
	}
	return ""
}

// nonsense is the error of an answer in which something is wrong; nil where nothing is.
func nonsense(requestID string, wrong ...string) error {
	what := cmp.Or(wrong...)
	if what == "" {
		return nil
	}
	return &Error{
		Code:      codeInternal,
		Status:    codes.Internal,
		Message:   "the service answered with " + what + ": it is newer than this client, or no Bonafide service",
		RequestID: requestID,
	}
}
