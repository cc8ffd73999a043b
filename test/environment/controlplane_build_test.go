package environment

import "testing"

func TestTheVersionOfABuiltAPIServerHasNumbers(t *testing.T) {
	t.Parallel()
	const want = "-X k8s.io/component-base/version.gitVersion=v1.30.14 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=30"
	if got := stamps("v1.30.14"); got != want {
		t.Errorf("the linker is told\n%s, want\n%s", got, want)
	}
}
