package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestAContainerThatNobodyHasEndedHasCrashed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status corev1.ContainerStatus
		asked  bool // to end
		want   string
	}{
		"one that runs has not":                                       {corev1.ContainerStatus{Name: "manager"}, false, ""},
		"an attempt that is killed has not":                           {ended("attempt", 137, "Error"), false, ""},
		"an attempt without memory has not":                           {ended("attempt", 137, "OOMKilled"), false, ""},
		"an attempt that has failed has not":                          {ended("attempt", 1, "Error"), false, ""},
		"an attempt that panics has":                                  {ended("attempt", 2, "Error"), false, "ended with code 2 (Error)"},
		"an attempt that was asked to end before it listens has not":  {ended("attempt", 2, "Error"), true, ""},
		"an operator without memory has":                              {ended("manager", 137, "OOMKilled"), false, "needed more memory than it had"},
		"an operator that has lost its lease and starts anew has not": {again(ended("manager", 1, "Error")), false, ""},
		"an operator that has panicked and starts anew has":           {again(ended("manager", 2, "Error")), false, "ended with code 2 (Error)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if crash := crashOfContainer(&test.status, test.asked); crash != test.want {
				t.Errorf("it is said that it %q, want %q", crash, test.want)
			}
		})
	}
}

func ended(container string, code int32, reason string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: container, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}}
}

// again is a container that has started after it had ended.
func again(status corev1.ContainerStatus) corev1.ContainerStatus {
	status.LastTerminationState, status.State = status.State, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	return status
}

func TestChaosOnAClusterIsAskedForWithAnImage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		executor, image string
		valid           bool
	}{
		"an operator that makes attempts itself is a process": {"in-process", "", true},
		"one that makes Jobs has an image":                    {"job", "ledgerport:dev", true},
		"an executor that does not exist is refused":          {"thread", "", false},
		"Jobs without an image are refused":                   {"job", "", false},
		"an image without Jobs is refused":                    {"in-process", "ledgerport:dev", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := checkExecutor(test.executor, test.image); (err == nil) != test.valid {
				t.Errorf("it is said: %v", err)
			}
		})
	}
}
