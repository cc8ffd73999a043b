// Package sftp keeps artifacts in a directory of an SFTP server.
package sftp

import (
	"cmp"
	"context"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// New returns the type.
func New() destinations.Type {
	return destinations.Type{
		Name:        "sftp",
		Scheme:      "sftp",
		Directories: true,
		Named:       func(d *v1alpha1.ExportDestination) bool { return d.Spec.SFTP != nil },
		Credentials: locate,
		Encryption: func(*v1alpha1.ExportDestination) (encrypted bool, how string) {
			return true, "the server is reached by SSH, and proves to have one of its known host keys"
		},
		Validate: func(d *v1alpha1.ExportDestination) error {
			_, err := knownHostKeys(d.Spec.SFTP.KnownHosts)
			return err
		},
		Open: func(_ context.Context, d *v1alpha1.ExportDestination, login map[string][]byte, policy *outbound.Policy) (destinations.Destination, error) {
			keys := secretKeys(d.Spec.SFTP)
			return open(*d.Spec.SFTP, secrets{
				privateKey: login[keys.PrivateKeyKey], passphrase: login[keys.PassphraseKey], password: login[keys.PasswordKey],
			}, policy)
		},
	}
}

// locate says where the user's private key and password are; nil where the server names no Secret, which the schema refuses.
func locate(d *v1alpha1.ExportDestination) (*credentials.Reference, error) {
	var ref credentials.Reference
	switch spec := d.Spec.SFTP; {
	case spec.CredentialsExternalSecretRef != nil:
		ref.External = &spec.CredentialsExternalSecretRef.ExternalSecretReference
	case spec.CredentialsSecretRef != nil:
		ref.Secret = spec.CredentialsSecretRef.Name
	default:
		return nil, nil
	}
	keys := secretKeys(d.Spec.SFTP)
	for _, key := range []string{keys.PrivateKeyKey, keys.PassphraseKey, keys.PasswordKey} {
		if key != "" {
			ref.Keys = append(ref.Keys, key)
		}
	}
	return &ref, nil
}

// defaultPrivateKeyKey is the key of the private key where the spec says nothing of what the Secret has.
const defaultPrivateKeyKey = "privateKey"

// secretKeys are the keys of what the user logs in with in its Secret; none where the server names no Secret.
func secretKeys(spec *v1alpha1.SFTPDestination) (keys v1alpha1.SFTPCredentialKeys) {
	switch {
	case spec.CredentialsExternalSecretRef != nil:
		keys = spec.CredentialsExternalSecretRef.SFTPCredentialKeys
	case spec.CredentialsSecretRef != nil:
		keys = spec.CredentialsSecretRef.SFTPCredentialKeys
	default:
		return keys
	}
	if keys.PasswordKey == "" {
		keys.PrivateKeyKey = cmp.Or(keys.PrivateKeyKey, defaultPrivateKeyKey)
	}
	return keys
}
