//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// token returns one of a service account, for ten minutes.
func (c *cluster) token(namespace, serviceAccount string) string {
	c.Helper()
	request, err := c.pods.CoreV1().ServiceAccounts(namespace).CreateToken(c.Context(), serviceAccount, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	c.must(err)
	return request.Status.Token
}

// metrics asks a pod of the operator for its metrics.
func (c *cluster) metrics(pod, token string) (body string, status int) {
	c.Helper()
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	// The certificate is the operator's own: it is the reader that has to prove who it is.
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/metrics", c.forward(ctx, pod, 8443)), http.NoBody)
	c.must(err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := insecure.Do(request)
	c.must(err)
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	c.must(err)
	return string(content), answer.StatusCode
}

// forward returns a port of this machine that leads to one of a pod until the context ends.
func (c *cluster) forward(ctx context.Context, pod string, port int) uint16 {
	c.Helper()
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	c.must(err)
	target := c.pods.CoreV1().RESTClient().Post().Resource("pods").Namespace(operatorNamespace).Name(pod).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	ready := make(chan struct{})
	forwarder, err := portforward.New(dialer, []string{fmt.Sprintf("0:%d", port)}, ctx.Done(), ready, io.Discard, io.Discard)
	c.must(err)
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		c.Fatalf("forwarding a port to pod %s: %s", pod, err)
	}
	ports, err := forwarder.GetPorts()
	c.must(err)
	return ports[0].Local
}
