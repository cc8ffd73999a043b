//go:build !failpoints

package failpoint

// FromEnvironment gives no hook: this binary can not be told to fail.
func FromEnvironment() Hook { return nil }
