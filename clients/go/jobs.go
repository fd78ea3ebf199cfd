package bonafide

import (
	"context"
	"iter"
	"time"

	"bonafide/clients/go/jobs"
)

// JobTimeout is the deadline of CreateJob: a prefix of many objects takes some time to list.
const JobTimeout = time.Minute

// CreateJob has many stored recordings judged behind the calls. With an idempotency key the same request makes one
// job, however often it is sent.
func (c *Client) CreateJob(ctx context.Context, wanted *jobs.CreateJobRequest) (*jobs.Job, error) {
	return ask(ctx, JobTimeout, c.jobs.Create, wanted)
}

// Job tells how far a job is.
func (c *Client) Job(ctx context.Context, id string) (*jobs.Job, error) {
	return ask(ctx, StatusTimeout, c.jobs.Get, &jobs.GetJobRequest{Id: id})
}

// CancelJob ends a job unless it has ended; its results so far stay.
func (c *Client) CancelJob(ctx context.Context, id string) (*jobs.Job, error) {
	return ask(ctx, StatusTimeout, c.jobs.Cancel, &jobs.CancelJobRequest{Id: id})
}

// JobResults yields the results that are there, in the order in which they came, without the first after. A verdict that
// could be misread is an error of its result alone.
func (c *Client) JobResults(ctx context.Context, id string, after uint32) iter.Seq2[*jobs.JobResult, error] {
	return func(yield func(*jobs.JobResult, error) bool) {
		ctx, cancel := within(ctx, AudioTimeout)
		defer cancel()
		stream, err := c.jobs.Results(ctx, &jobs.JobResultsRequest{Id: id, After: after})
		if err != nil {
			yield(nil, failure(ctx, err, nil))
			return
		}
		for result, err := range received(ctx, stream, func(*jobs.JobResult) error { return nil }) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(understood(result), nil) {
				return
			}
		}
	}
}

// WaitJob returns the job when it has ended, and asks every so often until then.
func (c *Client) WaitJob(ctx context.Context, id string, every time.Duration) (*jobs.Job, error) {
	for {
		job, err := c.Job(ctx, id)
		// A newer service may have more states in which a job has ended.
		if err != nil || job.GetState() == "done" || job.GetState() == "cancelled" || job.EndedAt != nil {
			return job, err
		}
		select {
		case <-ctx.Done():
			return job, ctx.Err()
		case <-time.After(every):
		}
	}
}
