// Package footprint says how much memory a value holds.
package footprint

import (
	"reflect"
	"time"
)

// mapSlot is about what a map takes for an entry, beside its key and value: a map is never full.
const mapSlot = 16

// Of returns about how many bytes are reachable from pointers to values, the values included. What several of them share is counted each
// time, and of a slice all that is allocated.
func Of(values ...any) (bytes int) {
	for _, value := range values {
		if v := reflect.ValueOf(value); v.IsValid() {
			bytes += beyond(v)
		}
	}
	return bytes
}

// beyond returns what a value holds outside itself.
func beyond(v reflect.Value) (bytes int) {
	if v.Type() == reflect.TypeFor[time.Time]() { // its zone is everybody's
		return 0
	}
	switch v.Kind() { //nolint:exhaustive // the others hold nothing
	case reflect.String:
		return v.Len()
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			bytes = int(v.Elem().Type().Size()) + beyond(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			bytes += beyond(v.Field(i))
		}
	case reflect.Array:
		bytes = elements(v)
	case reflect.Slice:
		bytes = v.Cap()*int(v.Type().Elem().Size()) + elements(v)
	case reflect.Map:
		each := int(v.Type().Key().Size()+v.Type().Elem().Size()) + mapSlot
		for entries := v.MapRange(); entries.Next(); {
			bytes += each + beyond(entries.Key()) + beyond(entries.Value())
		}
	}
	return bytes
}

func elements(v reflect.Value) (bytes int) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return 0
	}
	for i := range v.Len() {
		bytes += beyond(v.Index(i))
	}
	return bytes
}
