// Package books reads what the operator serves of runs through the API server: files, vouchers and held claims. The person's own identity is
// used, and the API server decides.
package books

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	api "github.com/ledgerport/ledgerport/api/books/v1alpha1"
)

// Client reads with the identity of a configuration.
type Client struct{ rest rest.Interface }

// New returns a client. It has no limit of requests of its own.
func New(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath, config.QPS = &api.GroupVersion, "/apis", -1
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.Timeout = 0                       // a file may take longer
	config.NextProtos = []string{"http/1.1"} // a file comes in larger pieces than frames of HTTP/2
	client, err := rest.RESTClientFor(config)
	return &Client{client}, err
}

// Files lists those of a run.
func (c *Client) Files(ctx context.Context, run types.NamespacedName) (*api.FileList, error) {
	var list api.FileList
	return &list, c.read(ctx, c.of(run, api.ExportRuns, api.Files), &list)
}

// Search narrows a list; what is empty does not.
type Search struct {
	// Number and Amount are of vouchers, Reason of held claims.
	Number, Claim, Amount, Reason string
	// Limit of all that is returned; 0 is none.
	Limit int
	// From goes on where a list ended, by its Continue.
	From string
	// Pages are asked for at most; 0 is no bound. A page of a search may have few that are found, or none.
	Pages int
}

// enough reports whether no further page is asked for after so many, which have so much.
func (s Search) enough(pages, found int, next string) bool {
	return next == "" || s.Limit > 0 && found >= s.Limit || s.Pages > 0 && pages >= s.Pages
}

// pageSize is how many a page has at most.
const pageSize = 500

// parameters of one page.
func (s Search) parameters(found int, from string) url.Values {
	given := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if s.Limit > 0 {
		given.Set("limit", strconv.Itoa(min(pageSize, s.Limit-found)))
	}
	for name, value := range map[string]string{"number": s.Number, "claim": s.Claim, "amount": s.Amount, "reason": s.Reason, "continue": from} {
		if value != "" {
			given.Set(name, value)
		}
	}
	return given
}

// Vouchers lists those of a run, page after page. If there are more, Continue of the list is not empty.
func (c *Client) Vouchers(ctx context.Context, run types.NamespacedName, search Search) (*api.VoucherList, error) {
	var all api.VoucherList
	all.Continue = search.From
	for pages := 1; ; pages++ {
		var page api.VoucherList
		asking := c.of(run, api.ExportRuns, api.Vouchers)
		if err := c.read(ctx, with(asking, search.parameters(len(all.Items), all.Continue)), &page); err != nil {
			return nil, err
		}
		all.TypeMeta, all.Continue, all.Items = page.TypeMeta, page.Continue, append(all.Items, page.Items...)
		if search.enough(pages, len(all.Items), all.Continue) {
			return &all, nil
		}
	}
}

// Held lists the held claims of an export, page after page, as Vouchers does.
func (c *Client) Held(ctx context.Context, export types.NamespacedName, search Search) (*api.HeldClaimList, error) {
	var all api.HeldClaimList
	all.Continue = search.From
	for pages := 1; ; pages++ {
		var page api.HeldClaimList
		asking := c.of(export, api.AccountingExports, api.HeldClaims)
		if err := c.read(ctx, with(asking, search.parameters(len(all.Items), all.Continue)), &page); err != nil {
			return nil, err
		}
		if all.Groups == nil {
			all.Groups = page.Groups
		}
		all.TypeMeta, all.Continue, all.Items = page.TypeMeta, page.Continue, append(all.Items, page.Items...)
		if search.enough(pages, len(all.Items), all.Continue) {
			return &all, nil
		}
	}
}

// Page is one page of a list, as a caller asks for it.
type Page struct{ Limit, Continue, Reason, Claim string }

// HeldPage returns one page of the held claims of an export.
func (c *Client) HeldPage(ctx context.Context, export types.NamespacedName, page Page) (*api.HeldClaimList, error) {
	var list api.HeldClaimList
	given := url.Values{}
	for name, value := range map[string]string{"limit": page.Limit, "continue": page.Continue, "reason": page.Reason, "claim": page.Claim} {
		if value != "" {
			given.Set(name, value)
		}
	}
	return &list, c.read(ctx, with(c.of(export, api.AccountingExports, api.HeldClaims), given), &list)
}

// Claim returns what runs of an export have made of a claim.
func (c *Client) Claim(ctx context.Context, export types.NamespacedName, claim string) (*api.ClaimStatusList, error) {
	var list api.ClaimStatusList
	return &list, c.read(ctx, c.of(export, api.AccountingExports, api.Claims).Param("claim", claim), &list)
}

// Download writes a file of a run, from where it was cut off if it was, and insists on its size and hash in the end. What was written before an
// error is not to be used.
func (c *Client) Download(ctx context.Context, run types.NamespacedName, file api.File, into io.Writer) error {
	sum := sha256.New()
	for got := int64(0); ; {
		more, err := c.remainder(ctx, run, file, got, io.MultiWriter(into, sum))
		got += more
		switch {
		case err != nil && (more == 0 || ctx.Err() != nil || !errors.Is(err, errCutOff)):
			return fmt.Errorf("%s: after %d of %d bytes: %w", file.Name, got, file.Size, err)
		case err == nil && got == file.Size && hex.EncodeToString(sum.Sum(nil)) == file.SHA256:
			return nil
		case err == nil || got >= file.Size:
			return fmt.Errorf("%s: what came is not the file that is recorded, which has %d bytes and the SHA-256 %s", file.Name, file.Size, file.SHA256)
		}
	}
}

// errCutOff says that a file did not come to its end.
var errCutOff = errors.New("the download was cut off")

// remainder writes the rest of a file as far as it comes.
func (c *Client) remainder(ctx context.Context, run types.NamespacedName, file api.File, from int64, into io.Writer) (int64, error) {
	asking := c.of(run, api.ExportRuns, api.Files, file.Name)
	if from > 0 {
		asking = asking.SetHeader("Range", fmt.Sprintf("bytes=%d-", from))
	}
	content, err := asking.Stream(ctx)
	if err != nil {
		return 0, explained(err)
	}
	defer func() { _ = content.Close() }() // only read
	coming := &source{Reader: io.LimitReader(content, file.Size-from+1)}
	n, err := io.Copy(into, coming)
	if coming.err != nil {
		return n, fmt.Errorf("%w: %w", errCutOff, coming.err)
	}
	return n, err
}

// source notes how reading has failed: writing may fail, too.
type source struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		s.err = err
	}
	return n, err
}

// of asks for what a run or an export has.
func (c *Client) of(object types.NamespacedName, resource string, what ...string) *rest.Request {
	return c.rest.Get().Namespace(object.Namespace).Resource(resource).Name(object.Name).SubResource(what...)
}

func with(asking *rest.Request, parameters url.Values) *rest.Request {
	for name := range parameters {
		asking = asking.Param(name, parameters.Get(name))
	}
	return asking
}

// read reads a document.
func (c *Client) read(ctx context.Context, asking *rest.Request, into any) error {
	answer := asking.SetHeader("Accept", "application/json").Do(ctx)
	if err := answer.Error(); err != nil { // which Raw does not decode
		return explained(err)
	}
	content, err := answer.Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(content, into)
}

// explained says what to do where a cluster serves nothing of this.
func explained(err error) error {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && apierrors.IsNotFound(err) && strings.HasPrefix(status.Status().Message, "the server could not find the requested resource") {
		return fmt.Errorf("this cluster does not serve files, vouchers and held claims; its administrator can apply config/books: %w", err)
	}
	return err
}
