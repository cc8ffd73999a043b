package tests3_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ledgerport/ledgerport/test/tests3"
)

func TestABucketTakesAnObjectAndListsIt(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t)
	key := "a/b.txt"
	if _, err := bucket.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket.Name, Key: &key, Body: strings.NewReader("content")}); err != nil {
		t.Fatal(err)
	}
	list, err := bucket.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket.Name})
	if err != nil || len(list.Contents) != 1 || *list.Contents[0].Key != key {
		t.Errorf("the bucket lists %+v (%v), want %s", list, err, key)
	}
}
