package pages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/books"
	"github.com/ledgerport/ledgerport/internal/console/burden"
	"github.com/ledgerport/ledgerport/internal/nesting"
)

const (
	// mostQuestions that a page asks the API server, and mostAnswered bytes that it reads of the answers. Bytes of files do not count.
	mostQuestions = 64
	mostAnswered  = 24 << 20
)

var (
	errTooManyQuestions = errors.New("the page would ask the API server more often than a page may")
	errTooLarge         = errors.New("what the API server answers is larger than a page may read")
	errLongPage         = errors.New("the page would be longer than one may be")
	// errLargeAnswer ends a question whose answer is larger than wanted, after which less may be asked for.
	errLargeAnswer = errors.New("the answer is larger than was wanted")
)

type mostKey struct{}

// atMost has each question of a context end whose answer has more than so many bytes.
func atMost(ctx context.Context, most int64) context.Context {
	return context.WithValue(ctx, mostKey{}, most)
}

// scheme and kinds are what pages read and write. The API server is not asked for what it serves.
var scheme, kinds = func() (*runtime.Scheme, meta.RESTMapper) {
	s := runtime.NewScheme()
	_ = v1alpha1.AddToScheme(s) // they only fail where a type is registered twice
	_ = authorizationv1.AddToScheme(s)
	known := meta.NewDefaultRESTMapper(nil)
	known.Add(v1alpha1.GroupVersion.WithKind("AccountingExport"), meta.RESTScopeNamespace)
	known.Add(v1alpha1.GroupVersion.WithKind("ExportRun"), meta.RESTScopeNamespace)
	known.Add(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"), meta.RESTScopeRoot)
	return s, known
}()

// cluster is the API server as the caller of one page reaches it.
type cluster struct {
	client.Client
	books *books.Client
	asked meter
}

func newCluster(config *rest.Config) (*cluster, error) {
	c := &cluster{}
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &counting{nesting.Limit(next), &c.asked} })
	var err error
	if c.books, err = books.New(config); err != nil {
		return nil, err
	}
	c.Client, err = client.New(config, client.Options{Scheme: scheme, Mapper: kinds})
	return c, err
}

// meter counts what a page asks, and what is answered.
type meter struct{ questions, bytes atomic.Int64 }

type counting struct {
	next http.RoundTripper
	*meter
}

// RoundTrip implements http.RoundTripper.
func (c *counting) RoundTrip(request *http.Request) (*http.Response, error) {
	if c.questions.Add(1) > mostQuestions {
		return nil, errTooManyQuestions
	}
	answer, err := c.next.RoundTrip(request)
	if err == nil && !burden.OfFile(request.URL.Path) {
		most, bounded := request.Context().Value(mostKey{}).(int64)
		if !bounded {
			most = mostAnswered
		}
		answer.Body = &counted{answer.Body, c.meter, most}
	}
	return answer, err
}

type counted struct {
	io.ReadCloser
	*meter
	left int64 // of this answer
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.left -= int64(n)
	switch {
	case c.bytes.Add(int64(n)) > mostAnswered:
		return n, errTooLarge
	case c.left < 0:
		return n, errLargeAnswer
	}
	return n, err
}

// right is a verb for a resource, which a role has or has not.
type right struct{ verb, group, resource, subresource string }

var (
	toRun     = right{"create", v1alpha1.GroupVersion.Group, "exportruns", ""}
	toReverse = right{"reverse", v1alpha1.GroupVersion.Group, "exportruns", ""}
	// A mark, a cancellation and an approval are changes of the run. An approval needs its own verb, too, and a cancellation that or another.
	toApprove = right{"approve", v1alpha1.GroupVersion.Group, "exportruns", ""}
	toChange  = right{"patch", v1alpha1.GroupVersion.Group, "exportruns", ""}
	toUpdate  = right{"update", v1alpha1.GroupVersion.Group, "exportruns", ""}
)

// canceller reports whether somebody with some rights cancels runs, and does not only mark them as imported: config/books/component/mark.yaml.
func canceller(rights map[right]bool) bool {
	return rights[toChange] && (rights[toUpdate] || rights[toApprove])
}

// may asks which of some rights the caller has in a namespace. The answer decides what is offered; whether something is done is decided
// when it is asked for.
func (c *cluster) may(ctx context.Context, namespace string, rights ...right) (map[right]bool, error) {
	answers := make([]bool, len(rights))
	group, ctx := errgroup.WithContext(ctx)
	for i, r := range rights {
		group.Go(func() error {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: r.verb, Group: r.group, Resource: r.resource, Subresource: r.subresource},
			}}
			if err := c.Create(ctx, review); apierrors.IsForbidden(err) {
				return nil // who may not ask is offered nothing
			} else if err != nil {
				return fmt.Errorf("asking what you may do: %w", err)
			}
			answers[i] = review.Status.Allowed
			return nil
		})
	}
	err := group.Wait()
	allowed := map[right]bool{}
	for i, r := range rights {
		allowed[r] = answers[i]
	}
	return allowed, err
}
