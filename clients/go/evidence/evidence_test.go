package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

var media = bytes.Repeat([]byte("the bytes of a recording"), 10)

// signer is a service's key and its log.
type signer struct {
	key   ed25519.PrivateKey
	kid   string
	x     string
	lines []string
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	x := encoding.EncodeToString(public)
	id := sha256.Sum256(fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":"%s"}`, x))
	return &signer{key: private, kid: encoding.EncodeToString(id[:]), x: x}
}

func (s *signer) keys(t *testing.T) Keys {
	t.Helper()
	keys, err := ReadKeys(strings.NewReader(fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"%s"}]}`, s.x)))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func (s *signer) sign(t *testing.T, header, payload map[string]any) string {
	t.Helper()
	var parts []string
	for _, part := range []map[string]any{header, payload} {
		data, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, encoding.EncodeToString(data))
	}
	text := strings.Join(parts, ".")
	return text + "." + encoding.EncodeToString(ed25519.Sign(s.key, []byte(text)))
}

func (s *signer) header() map[string]any {
	return map[string]any{"alg": "EdDSA", "kid": s.kid, "typ": Type}
}

func (s *signer) record(t *testing.T) string {
	t.Helper()
	sum := sha256.Sum256(media)
	before := strings.Repeat("0", 64)
	if len(s.lines) > 0 {
		last := sha256.Sum256([]byte(s.lines[len(s.lines)-1]))
		before = hex.EncodeToString(last[:])
	}
	record := s.sign(t, s.header(), map[string]any{
		"form": 1, "label": "spoof", "score": 0.75, "threshold": 0.5, "request_id": "r-1",
		"media": map[string]any{"sha256": hex.EncodeToString(sum[:]), "bytes": len(media)},
		"log":   map[string]any{"chain": "c-1", "number": len(s.lines), "previous": before},
	})
	s.lines = append(s.lines, record)
	return record
}

func (s *signer) log() []byte { return []byte(strings.Join(s.lines, "\n") + "\n") }

func TestAGenuineRecord(t *testing.T) {
	s := newSigner(t)
	first := s.record(t)
	s.record(t)
	record, err := Verify([]byte(first+"\n"), s.keys(t))
	if err != nil {
		t.Fatal(err)
	}
	if record.Label != "spoof" || *record.Score != 0.75 || record.RequestID != "r-1" {
		t.Errorf("%+v", record)
	}
	if err := record.CheckMedia(bytes.NewReader(media)); err != nil {
		t.Error(err)
	}
	if err := record.CheckLog(bytes.NewReader(s.log()), s.keys(t)); err != nil {
		t.Error(err)
	}
}

func changed(data []byte) []byte {
	other := bytes.Clone(data)
	other[rand.IntN(len(other))] ^= byte(1 + rand.IntN(255))
	return other
}

func TestAnyChangedByteIsRefused(t *testing.T) {
	s := newSigner(t)
	text := s.record(t)
	s.record(t)
	keys := s.keys(t)
	record, err := Verify([]byte(text), keys)
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		if _, err := Verify(changed([]byte(text+"\n")), keys); err == nil {
			t.Fatal("a changed record was verified")
		}
		if record.CheckMedia(bytes.NewReader(changed(media))) == nil {
			t.Fatal("a changed file was taken for the one that was judged")
		}
		if record.CheckLog(bytes.NewReader(changed(s.log())), keys) == nil {
			t.Fatal("a changed log was verified")
		}
	}
}

func TestRefusals(t *testing.T) {
	s, other := newSigner(t), newSigner(t)
	good := s.record(t)
	critical := s.header()
	critical["crit"] = []string{"b64"}
	for name, text := range map[string]string{
		"empty":           "",
		"another key":     other.record(t),
		"critical header": s.sign(t, critical, nil),
		"no payload":      s.sign(t, s.header(), nil),
		"four parts":      good + ".",
		"line break":      good[:9] + "\n" + good[9:],
	} {
		if _, err := Verify([]byte(text), s.keys(t)); err == nil {
			t.Errorf("%s was verified", name)
		}
	}
	record, err := Verify([]byte(good), s.keys(t))
	if err != nil {
		t.Fatal(err)
	}
	s.record(t)
	s.record(t)
	for name, lines := range map[string][]string{
		"a gap":          {s.lines[0], s.lines[2]},
		"another order":  {s.lines[1], s.lines[0]},
		"without it":     {s.lines[1], s.lines[2]},
		"nothing at all": {},
	} {
		log := ""
		for _, line := range lines {
			log += line + "\n"
		}
		if record.CheckLog(strings.NewReader(log), s.keys(t)) == nil {
			t.Errorf("a log with %s was verified", name)
		}
	}
	last := s.lines[2]
	for _, cut := range []string{"e", last[:100], last[:len(last)-1], "\x00\x00", last[:100] + "\x00"} {
		err := record.CheckLog(strings.NewReader(s.lines[0]+"\n"+s.lines[1]+"\n"+cut), s.keys(t))
		if unfinished := (*Unfinished)(nil); !errors.As(err, &unfinished) || unfinished.Bytes != len(cut) {
			t.Errorf("a log that ends with %d bytes of a record: %v", len(cut), err)
		}
	}
	if err := record.CheckLog(strings.NewReader(s.lines[0]+"\n"+s.lines[1]), s.keys(t)); err != nil {
		t.Errorf("a log without its last newline: %v", err)
	}
	for _, log := range []string{
		s.lines[1][:90],
		s.lines[0] + "\n" + s.lines[1] + "A",
		s.lines[0] + "\n" + s.lines[1] + "\x00",
		s.lines[0] + "\n" + s.lines[1][:90] + " ",
		s.lines[0] + "\n" + s.lines[1][:90] + s.lines[1] + "\n" + last + "\n",
	} {
		err := record.CheckLog(strings.NewReader(log), s.keys(t))
		if unfinished := (*Unfinished)(nil); err == nil || errors.As(err, &unfinished) {
			t.Errorf("a log with another end was verified: %v", err)
		}
	}
	for _, set := range []string{"", "{}", `{"keys":[]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`} {
		if _, err := ReadKeys(strings.NewReader(set)); err == nil {
			t.Errorf("%q was read as keys", set)
		}
	}
}
