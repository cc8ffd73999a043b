package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	authentication "k8s.io/client-go/kubernetes/typed/authentication/v1"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // logins that a kubeconfig may have
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// clusterFlags say which cluster, login and namespace a command is for, as the flags of kubectl do.
type clusterFlags struct {
	kubeconfig string
	overrides  clientcmd.ConfigOverrides
}

// oftenGiven are the flags that help shows; all others of kubectl are taken too.
var oftenGiven = map[string]bool{"kubeconfig": true, "context": true, "namespace": true, "as": true}

func (c *clusterFlags) add(command *cobra.Command) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.StringVar(&c.kubeconfig, "kubeconfig", "", "file that says where the cluster is and who you are; empty is KUBECONFIG, or else ~/.kube/config")
	clientcmd.BindOverrideFlags(&c.overrides, flags, clientcmd.RecommendedConfigOverrideFlags(""))
	flags.VisitAll(func(flag *pflag.Flag) { flag.Hidden = !oftenGiven[flag.Name] })
	command.Flags().AddFlagSet(flags)
	_ = command.RegisterFlagCompletionFunc("namespace", c.completeNamespaces) // it is defined above
}

// cluster is one that a person has a login for.
type cluster struct {
	client.WithWatch
	config    *rest.Config
	namespace string
}

// connect uses the login of the person. Warnings of the API server are printed.
func (c *clusterFlags) connect(command *cobra.Command) (*cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.kubeconfig
	given := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &c.overrides)
	config, err := given.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	config.WarningHandler = rest.NewWarningWriter(command.ErrOrStderr(), rest.WarningWriterOptions{Deduplicate: true})
	namespace, _, err := given.Namespace()
	if err != nil {
		return nil, fmt.Errorf("finding the namespace: %w", err)
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	api, err := client.NewWithWatch(config, client.Options{Scheme: scheme, FieldOwner: "ledgerport"})
	return &cluster{WithWatch: api, config: config, namespace: namespace}, err
}

// user is the name under which the API server knows the person; empty if it does not say. Where a policy of the cluster wants the name
// in a request, it refuses one without it.
func (c *cluster) user(ctx context.Context) string {
	reviews, err := authentication.NewForConfig(c.config)
	if err != nil {
		return ""
	}
	review, err := reviews.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return ""
	}
	return review.Status.UserInfo.Username
}

// named is the key of a resource in the person's namespace.
func (c *cluster) named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: c.namespace, Name: name}
}
