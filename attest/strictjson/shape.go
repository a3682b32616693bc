package strictjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// shape is what a Go type tells of the JSON that fills it. A nil shape tells
// nothing.
type shape struct {
	fields  map[string]*shape // of a struct, by key
	folded  map[string]string // folded key to key
	element *shape            // of an array's or map's values
}

var (
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textual     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// shapeOf returns the shape of what v points to.
func shapeOf(v any) *shape {
	t := reflect.TypeOf(v)
	if t == nil {
		return nil
	}
	return shapeFrom(t, map[reflect.Type]*shape{})
}

func shapeFrom(t reflect.Type, seen map[reflect.Type]*shape) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if p := reflect.PointerTo(t); p.Implements(unmarshaler) || p.Implements(textual) {
		return nil
	}
	if s, ok := seen[t]; ok {
		return s
	}
	switch t.Kind() {
	case reflect.Struct:
		s := &shape{fields: map[string]*shape{}, folded: map[string]string{}}
		seen[t] = s
		s.addFields(t, seen)
		return s
	case reflect.Slice, reflect.Array, reflect.Map:
		s := &shape{}
		seen[t] = s
		s.element = shapeFrom(t.Elem(), seen)
		return s
	}
	return nil
}

// addFields adds the fields of struct type t, those of embedded structs too.
func (s *shape) addFields(t reflect.Type, seen map[reflect.Type]*shape) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Anonymous && name == "" {
			inner := f.Type
			for inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				s.addFields(inner, seen)
				continue
			}
		}
		if name == "" {
			name = f.Name
		}
		s.fields[name] = shapeFrom(f.Type, seen)
		s.folded[fold(name)] = name
	}
}
