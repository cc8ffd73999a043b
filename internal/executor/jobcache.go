package executor

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// JobCache has the Jobs and pods of attempts cached, of their namespace alone, and of them what is read: what they are to do is large.
func JobCache(namespace string) map[client.Object]cache.ByObject {
	ours, err := labels.Parse(AttemptLabel) // which exists
	if err != nil {
		panic(err)
	}
	only := func(transform func(any) (any, error)) cache.ByObject {
		return cache.ByObject{Label: ours, Namespaces: map[string]cache.Config{namespace: {}}, Transform: transform}
	}
	return map[client.Object]cache.ByObject{&batchv1.Job{}: only(leanJob), &corev1.Pod{}: only(leanPod)}
}

func leanJob(object any) (any, error) {
	if job, is := object.(*batchv1.Job); is {
		job.ManagedFields, job.Spec.Template = nil, corev1.PodTemplateSpec{}
	}
	return object, nil
}

func leanPod(object any) (any, error) {
	if pod, is := object.(*corev1.Pod); is {
		pod.ManagedFields, pod.Spec, pod.Annotations = nil, corev1.PodSpec{}, nil
	}
	return object, nil
}
