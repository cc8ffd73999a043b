package tests3_test

import (
	"slices"
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
	if keys := bucket.Keys(t); !slices.Equal(keys, []string{key}) {
		t.Errorf("the bucket lists %q, want %s", keys, key)
	}
}
