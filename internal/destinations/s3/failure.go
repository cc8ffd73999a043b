package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// errIncomplete says that a server has left out what every answer of its kind has.
var errIncomplete = errors.New("the answer leaves out what every server of S3 says")

// failure says what a person can do about an error of an S3 server, or of the way to it.
func (b *bucket) failure(ctx context.Context, err error) error {
	if known, explained := destinations.Explained(ctx, err, b.where()); known {
		return explained
	}
	var unknown *identityError
	var refused smithy.APIError
	switch {
	case errors.Is(err, errIncomplete):
		return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err, "%s cannot be used: %s", b.where(), errIncomplete)
	case errors.As(err, &unknown):
		return failure.OnCredentials.Transient(v1alpha1.ReasonLoginRefused, err,
			"the operator has no AWS identity of its own for %s; name a Secret in spec.s3.credentialsSecretRef", b.where())
	case status(err) == http.StatusInsufficientStorage:
		return failure.OnDestination.Transient(v1alpha1.ReasonDestinationFull, err, "%s is full; make room, and the run goes on", b.where())
	case errors.As(err, &refused):
		return b.refusal(err, errorCode(refused))
	}
	return failure.OnDestination.Transient(v1alpha1.ReasonDestinationUnreachable, err, "%s cannot be reached: %s", b.where(), cause(err))
}

// status is that of the server's answer, or 0 where there was none.
func status(err error) int {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil && answer.Response.Response != nil {
		return answer.HTTPStatusCode()
	}
	return 0
}

// errorCode is the server's own word for an error, if it is one word.
func errorCode(refused smithy.APIError) string {
	code := refused.ErrorCode()
	if len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool {
		return r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return "it has no code of S3"
	}
	return code
}

// refusal translates the error codes of the S3 protocol.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func (b *bucket) refusal(err error, code string) error {
	switch code {
	case "NoSuchBucket":
		return failure.OnDestination.Transient(v1alpha1.ReasonBucketNotFound, err, "%s does not exist; create it, or correct spec.s3.bucket", b.where())
	case "PermanentRedirect", "TemporaryRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return failure.OnDestination.Transient(v1alpha1.ReasonBucketNotFound, err, "%s is not in the region %q (%s); correct spec.s3.region", b.where(), b.spec.Region, code)
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "XAdminUserNotFound":
		return failure.OnCredentials.Transient(v1alpha1.ReasonLoginRefused, err, "the server of %s %s", b.where(), b.refusedLogin(code))
	case "AccessDenied", "AllAccessDisabled", "Forbidden":
		if aboutEncryptionKey(err) {
			return b.encryptionKey(err, code)
		}
		return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err, "the access key may not do %s in %s (%s); it needs %s", operation(err), b.where(), code, rights)
	case "QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "StorageFull":
		return failure.OnDestination.Transient(v1alpha1.ReasonDestinationFull, err, "%s is full (%s); make room, and the run goes on", b.where(), code)
	case "NotFound", "UnknownError": // the SDK's own words for an answer that has no code of S3
		return failure.OnDestination.Transient(v1alpha1.ReasonDestinationUnreachable, err, "%s cannot be reached: %s", b.where(), cause(err))
	case "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout":
		return failure.OnDestination.Transient(v1alpha1.ReasonDestinationUnreachable, err, "the server of %s cannot answer at present (%s)", b.where(), code)
	}
	if strings.HasPrefix(code, "KMS.") {
		return b.encryptionKey(err, code)
	}
	return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err, "the server of %s refuses the request (%s)", b.where(), code)
}

// refusedLogin says which half of the access key a server refuses, and where that is.
func (b *bucket) refusedLogin(code string) string {
	keys := secretKeys(&b.spec)
	switch code {
	case "InvalidAccessKeyId", "XAdminUserNotFound":
		return fmt.Sprintf("does not know the access key's id (%s); correct %s", code, b.inSecret(keys.AccessKeyIDKey))
	case "SignatureDoesNotMatch":
		return fmt.Sprintf("knows the access key's id, and the secret access key is not the one of it (%s); correct %s", code, b.inSecret(keys.SecretAccessKeyKey))
	}
	return fmt.Sprintf("refuses the token of the access key, which has expired or is another's (%s); write a new access key to %s", code, b.inSecret(keys.AccessKeyIDKey, keys.SecretAccessKeyKey))
}

// inSecret names keys of the Secret that has the access key.
func (b *bucket) inSecret(keys ...string) string {
	ref := reference(&b.spec)
	if ref == nil {
		return "the operator's own identity, which is lent to the bucket"
	}
	return ref.Named(keys...)
}

// rights are what a run needs of an access key.
const rights = "s3:PutObject and s3:GetObject, and s3:ListBucket to tell a file that is missing from one that it may not see"

// operation is the request that a server has refused.
func operation(err error) string {
	var of *smithy.OperationError
	if errors.As(err, &of) {
		return of.OperationName
	}
	return "what a run needs"
}

// aboutEncryptionKey reports whether a server has refused a request for the key that it encrypts the bucket with. It has no code
// for that.
func aboutEncryptionKey(err error) bool {
	var refused smithy.APIError
	return errors.As(err, &refused) && strings.Contains(refused.ErrorMessage(), "kms:")
}

func (b *bucket) encryptionKey(err error, code string) error {
	return failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, err,
		"%s is encrypted with a key (SSE-KMS) that the access key may not use, or that is disabled (%s); allow it kms:GenerateDataKey and kms:Decrypt", b.where(), code)
}

// where names the bucket and the server, for people.
func (b *bucket) where() string {
	server := "Amazon S3, " + b.spec.Region
	if endpoint, err := url.Parse(b.spec.Endpoint); err == nil && endpoint.Host != "" {
		server = endpoint.Host
	}
	return fmt.Sprintf("the bucket %s (%s)", b.spec.Bucket, server)
}

// cause says why a server cannot be reached, as far as a person can do something about it.
func cause(err error) string {
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it speaks HTTP where the endpoint says HTTPS"
	case status(err) != 0:
		return fmt.Sprintf("the answer (HTTP %d) is not one of S3; check spec.s3.endpoint", status(err))
	}
	return destinations.Unreached(err, "spec.s3.endpoint")
}
