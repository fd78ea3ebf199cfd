package main

import (
	"strings"
	"testing"
)

func TestAnEmptyLogIsNotTakenForNone(t *testing.T) {
	var out, errOut strings.Builder
	code := run([]string{"-key", "keys.json", "-log", "", "call.mp3", "call.jws"}, &out, &errOut)
	if code != usage || !strings.Contains(errOut.String(), "is empty") {
		t.Fatalf("code %d, %q", code, errOut.String())
	}
}
