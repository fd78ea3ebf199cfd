package main

import (
	"context"
	"errors"
	"io"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

var errCut = errors.New("the upload ended before its end")

// How much of an upload of unknown length is held in memory.
const uploadPartBytes = 16 << 20

// recordings keeps what was uploaded, in one bucket.
type recordings struct {
	client *minio.Client
	bucket string
}

func openRecordings(ctx context.Context, s settings) (*recordings, error) {
	client, err := minio.New(s.minioEndpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(s.minioAccessKey, s.minioSecretKey, ""),
		Secure: s.minioSecure,
	})
	if err != nil {
		return nil, err
	}
	exists, err := client.BucketExists(ctx, s.bucket)
	if err == nil && !exists {
		err = client.MakeBucket(ctx, s.bucket, minio.MakeBucketOptions{})
	}
	if err != nil {
		return nil, err
	}
	return &recordings{client, s.bucket}, nil
}

// put stores a recording; size -1: not known. Returns how many bytes it had.
func (r *recordings) put(ctx context.Context, key string, recording io.Reader, size int64) (int64, error) {
	options := minio.PutObjectOptions{ContentType: "application/octet-stream", PartSize: uploadPartBytes}
	info, err := r.client.PutObject(ctx, r.bucket, key, whole{recording}, size, options)
	return info.Size, err
}

func (r *recordings) remove(ctx context.Context, key string) error {
	return r.client.RemoveObject(ctx, r.bucket, key, minio.RemoveObjectOptions{})
}

// whole keeps a torn upload from being stored as if it were complete: MinIO's client takes an unexpected end of a
// recording of unknown length for the end.
type whole struct{ io.Reader }

func (w whole) Read(into []byte) (int, error) {
	n, err := w.Reader.Read(into)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCut
	}
	return n, err
}
