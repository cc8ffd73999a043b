// Package e2e tests the operator as a Deployment on a real cluster: the one that KUBECONFIG names. `make e2e` runs it; the
// tests are built with the tag e2e only.
package e2e
