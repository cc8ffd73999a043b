package environment

import (
	"context"
	"errors"
	"net"
	"os"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// AddressForNodes returns the address under which pods of a cluster reach this machine: the one that traffic to a node leaves from.
// E2E_HOST names another.
func AddressForNodes(ctx context.Context, cluster client.Reader) (string, error) {
	if named := os.Getenv("E2E_HOST"); named != "" {
		return named, nil
	}
	var nodes corev1.NodeList
	if err := cluster.List(ctx, &nodes); err != nil {
		return "", err
	}
	for i := range nodes.Items {
		for _, address := range nodes.Items[i].Status.Addresses {
			if address.Type != corev1.NodeInternalIP {
				continue
			}
			conn, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(address.Address, "9"))
			if err != nil {
				return "", err
			}
			host, _, err := net.SplitHostPort(conn.LocalAddr().String())
			return host, errors.Join(err, conn.Close())
		}
	}
	return "", errors.New("no node has an internal address; name this machine's in E2E_HOST")
}
