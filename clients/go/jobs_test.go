package bonafide

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"bonafide/clients/go/jobs"
)

// A service that takes jobs, without keys, and works on them only when the job of this key has been cancelled. Its
// bucket has three recordings, three photos, and two files that are neither.
const (
	jobsAddress = "BONAFIDE_JOBS_ADDRESS"
	toCancel    = "to-cancel"
	every       = 20 * time.Millisecond
)

func TestJobs(t *testing.T) {
	address := os.Getenv(jobsAddress)
	if address == "" {
		t.Skip("no service: " + jobsAddress + " is not set (tests/clients/test_go_jobs.py sets it)")
	}
	client, ctx := dial(t, address), t.Context()

	keys := []string{"day/20.wav", "day/60.wav", "day/90.wav", "broken.wav"}
	wanted := &jobs.CreateJobRequest{Bucket: "calls", Keys: keys, Priority: "high", IdempotencyKey: "audit"}
	job, err := client.CreateJob(ctx, wanted)
	if err != nil || job.GetTotal() != 4 || job.GetState() != "waiting" || job.GetPriority() != "high" {
		t.Fatalf("%v, %v", job, err)
	}
	if again, err := client.CreateJob(ctx, wanted); err != nil || again.GetId() != job.GetId() {
		t.Errorf("%v, %v", again, err)
	}
	short, cancel := context.WithTimeout(ctx, 10*every)
	defer cancel()
	if found, err := client.WaitJob(short, job.GetId(), every); err == nil {
		t.Errorf("%v has not ended", found)
	}

	other, err := client.CreateJob(ctx, &jobs.CreateJobRequest{
		Bucket: "calls", Keys: []string{"day/20.wav", "day/60.wav"}, IdempotencyKey: toCancel,
	})
	if err != nil || other.GetTotal() != 2 {
		t.Fatalf("%v, %v", other, err)
	}
	if cancelled, err := client.CancelJob(ctx, other.GetId()); err != nil || cancelled.GetState() != "cancelled" {
		t.Errorf("%v, %v", cancelled, err)
	}
	if ended, err := client.WaitJob(ctx, other.GetId(), every); err != nil || ended.GetState() != "cancelled" {
		t.Errorf("%v, %v", ended, err)
	}

	done, err := client.WaitJob(ctx, job.GetId(), every)
	if err != nil || done.GetState() != "done" || done.GetDone() != 3 || done.GetFailed() != 1 {
		t.Fatalf("%v, %v", done, err)
	}
	if found, err := client.Job(ctx, job.GetId()); err != nil || found.GetEndedAt() != done.GetEndedAt() {
		t.Errorf("%v, %v", found, err)
	}
	results := map[string]*jobs.JobResult{}
	for result, err := range client.JobResults(ctx, job.GetId(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		results[result.GetKey()] = result
	}
	if len(results) != 4 || results["broken.wav"].GetError().GetCode() != "unreadable_media" {
		t.Errorf("%v", results)
	}
	if verdict := results["day/90.wav"].GetVerdict(); verdict.GetLabel() != "spoof" || verdict.GetScore() == 0 {
		t.Errorf("%v", verdict)
	}
	rest := 0
	for range client.JobResults(ctx, job.GetId(), 3) {
		rest++
	}
	for range client.JobResults(ctx, job.GetId(), 0) {
		break // leaving the loop is allowed, and ends the call
	}
	if rest != 1 {
		t.Errorf("%d results after the third", rest)
	}

	faces := "faces/"
	photos, err := client.CreateJob(ctx, &jobs.CreateJobRequest{Bucket: "calls", Prefix: &faces, Task: "face"})
	if err != nil || photos.GetTask() != "face" {
		t.Fatalf("%v, %v", photos, err)
	}
	if ended, err := client.WaitJob(ctx, photos.GetId(), every); err != nil || ended.GetDone() != 3 {
		t.Errorf("%v, %v", ended, err)
	}
	for result, err := range client.JobResults(ctx, photos.GetId(), 0) {
		if err != nil || (result.GetError() == nil) == (result.GetPhoto().GetPredictedClass() == "") {
			t.Errorf("%v, %v", result, err)
		}
	}

	_, err1 := client.Job(ctx, "unknown")
	_, err2 := client.CancelJob(ctx, "unknown")
	_, err3 := client.WaitJob(ctx, "unknown", every)
	var err4 error
	for _, err4 = range client.JobResults(ctx, "unknown", 0) {
	}
	for _, err := range []error{err1, err2, err3, err4} {
		if failed := (*Error)(nil); !errors.As(err, &failed) || failed.Code != "object_not_found" {
			t.Error(err)
		}
	}
	if _, err := client.CreateJob(ctx, &jobs.CreateJobRequest{Bucket: "other", Keys: []string{"a"}}); err == nil {
		t.Error("the bucket may not be read")
	}
}
