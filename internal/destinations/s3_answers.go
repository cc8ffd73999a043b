package destinations

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/ledgerport/ledgerport/internal/panics"
)

// errIncomplete says that a server has left out what every answer of its kind has.
var errIncomplete = errors.New("the answer leaves out what every server of S3 says")

// checkAnswers stands before every request. The libraries above it take for granted what an answer may well leave out, and do so
// in goroutines of their own, where nothing catches the panic: it would end the process.
func checkAnswers(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("LedgerportAnswers", answer), middleware.Before)
}

func answer(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
	defer panics.Catch(&err) // of whatever reads the answer
	out, metadata, err = next.HandleInitialize(ctx, in)
	if err == nil && !complete(out.Result) {
		err = errIncomplete
	}
	return out, metadata, err
}

// complete reports whether an answer has what is taken for granted.
func complete(result any) bool {
	upload, begun := result.(*s3.CreateMultipartUploadOutput)
	return !begun || aws.ToString(upload.UploadId) != ""
}
