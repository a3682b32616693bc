package probe

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	want := Reply{ID: 3, Names: []string{"a"}, Facts: &Facts{State: "running", SecureBoot: []byte{1}}}
	line, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseReply(line); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, line := range []string{"", "x", "{", `{"id":1} {"id":2}`, `{"id":1,"other":2}`, `{"id":-1}`, strings.Repeat(" ", MaxLine+1)} {
		if _, err := ParseReply([]byte(line)); !errors.Is(err, ErrMalformed) {
			t.Errorf("reply %.40q: %v", line, err)
		}
		if _, err := ParseRequest([]byte(line)); !errors.Is(err, ErrMalformed) {
			t.Errorf("request %.40q: %v", line, err)
		}
	}
	if _, err := ParseRequest([]byte(`{"op":"report"}`)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a request without an id: %v", err)
	}
}

func FuzzParseReply(f *testing.F) {
	f.Add([]byte(`{"id":1,"facts":{"pcr":{"11":"00"},"devices":[{"name":"root"}]}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, err := ParseReply(line); err != nil && !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"id":1,"op":"read","path":"/etc/os-release"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if r, err := ParseRequest(line); err != nil && !errors.Is(err, ErrMalformed) || err == nil && r.ID == 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
