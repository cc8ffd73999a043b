//go:build !failpoints

package failpoint

// FromEnvironment returns no hook: this binary cannot be told to fail.
func FromEnvironment() Hook { return nil }
