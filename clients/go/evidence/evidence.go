// Package evidence verifies the signed records of verdicts, offline.
//
//	keys, err := evidence.ReadKeys(file) // what the service answers at /.well-known/jwks.json
//	record, err := evidence.Verify(text, keys)
//	err = record.CheckMedia(recording)
//
// docs/evidence.md of the service tells what a record proves, and what it does not.
package evidence

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
)

// Type is what the header of every record says.
const Type = "bonafide-evidence+jws"

const (
	form        = 1
	maxKeys     = 1 << 20
	longestLine = 64 << 20
)

// Strict: each text has one way to be written, so that no character of it can be changed.
var encoding = base64.RawURLEncoding.Strict()

// Keys are public keys by their id, the thumbprint of RFC 7638.
type Keys map[string]ed25519.PublicKey

// Place is where a record is in the log.
type Place struct {
	Chain    string `json:"chain"`
	Number   int64  `json:"number"`
	Previous string `json:"previous"` // SHA-256 of the record before it, hex; zeros for the first
}

// Record is what a service has signed. JSON has all of it.
type Record struct {
	Text []byte          `json:"-"`
	JSON json.RawMessage `json:"-"`

	Form      int    `json:"form"`
	Time      string `json:"time"`
	RequestID string `json:"request_id"`
	TaskID    string `json:"task_id"`
	Task      string `json:"task"`   // "voice" or "face"
	Source    string `json:"source"` // "upload", "object", "live" or "photo"
	Media     struct {
		SHA256 string `json:"sha256"`
		Bytes  int64  `json:"bytes"`
	} `json:"media"`
	Model struct {
		Name        string `json:"name"`
		Version     string `json:"version"`
		Fingerprint string `json:"fingerprint"`
	} `json:"model"`
	Threshold float64  `json:"threshold"`
	Score     *float64 `json:"score"` // nil without speech
	Label     string   `json:"label"`
	Log       *Place   `json:"log"` // nil where it could not be kept
}

// ReadKeys reads a JSON Web Key Set. What it says of ids is not believed: they are computed.
func ReadKeys(file io.Reader) (Keys, error) {
	var set struct {
		Keys []struct{ Kty, Crv, X string }
	}
	if err := json.NewDecoder(io.LimitReader(file, maxKeys)).Decode(&set); err != nil {
		return nil, fmt.Errorf("no JSON Web Key Set: %w", err)
	}
	keys := Keys{}
	for _, key := range set.Keys {
		if key.Kty != "OKP" || key.Crv != "Ed25519" {
			continue
		}
		x, err := encoding.DecodeString(key.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("a key of the set is no Ed25519 key")
		}
		id := sha256.Sum256(fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":"%s"}`, key.X))
		keys[encoding.EncodeToString(id[:])] = x
	}
	if len(keys) == 0 {
		return nil, errors.New("the set holds no Ed25519 key")
	}
	return keys, nil
}

// Verify verifies a record; one newline at its end is taken as a text file's.
func Verify(text []byte, keys Keys) (*Record, error) {
	text = bytes.TrimSuffix(text, []byte("\n"))
	if bytes.ContainsAny(text, "\r\n") { // which the decoder would skip
		return nil, errors.New("no record: it holds line breaks")
	}
	parts := bytes.Split(text, []byte("."))
	if len(parts) != 3 {
		return nil, errors.New("no record: three parts are expected")
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = encoding.AppendDecode(nil, part); err != nil {
			return nil, fmt.Errorf("no record: %w", err)
		}
	}
	var header struct {
		Alg, Kid, Typ string
		Crit          json.RawMessage
	}
	if err := json.Unmarshal(decoded[0], &header); err != nil {
		return nil, fmt.Errorf("no record: %w", err)
	}
	if header.Alg != "EdDSA" || header.Typ != Type || header.Crit != nil {
		return nil, errors.New("no record of a Bonafide service, or of a kind that this release does not know")
	}
	key, ok := keys[header.Kid]
	if !ok {
		return nil, fmt.Errorf("it names a key that is none of those given: %q", header.Kid)
	}
	if !ed25519.Verify(key, text[:len(parts[0])+1+len(parts[1])], decoded[2]) {
		return nil, errors.New("the signature does not belong to what the record says")
	}
	record := Record{Text: text, JSON: decoded[1]}
	if err := json.Unmarshal(decoded[1], &record); err != nil {
		return nil, fmt.Errorf("it is signed, but no record of a verdict: %w", err)
	}
	if record.Form != form {
		return nil, errors.New("the record is of a form that this release does not know")
	}
	return &record, nil
}

// CheckMedia reads the media to their end, and fails when they are not what was judged.
func (r *Record) CheckMedia(media io.Reader) error {
	hash := sha256.New()
	length, err := io.Copy(hash, media)
	if err != nil {
		return err
	}
	if found := hex.EncodeToString(hash.Sum(nil)); found != r.Media.SHA256 || length != r.Media.Bytes {
		return fmt.Errorf("the file is not what was judged: SHA-256 %s of %d bytes, and the record is on %s of %d bytes",
			found, length, r.Media.SHA256, r.Media.Bytes)
	}
	return nil
}

// Unfinished is the finding of CheckLog that the chain ends with a record that is not complete, while everything else
// is right: it is being written, or was cut off, by a loss of power or by somebody. Nothing of it is believed.
type Unfinished struct {
	Bytes int // of that record
}

func (u *Unfinished) Error() string {
	return fmt.Sprintf("the log ends with %d bytes of a record that is not complete: it is being written, or was cut off, "+
		"by a loss of power or by somebody", u.Bytes)
}

// The beginning of a record without all of its signature. Some file systems put zeros for what was not written.
var cutOff = regexp.MustCompile(`^[\w-]*(\.[\w-]*(\.[\w-]{0,85})?)?\x00*$`)

// CheckLog reads one chain of a log, its files one after the other, and fails when a line is no record, does not follow
// the one before it, or when the record is not among them. A last record that is not complete is *Unfinished.
func (r *Record) CheckLog(log io.Reader, keys Keys) error {
	lines := bufio.NewReaderSize(log, 64<<10)
	var before *Place
	var hash string
	found := false
	var unfinished error
	for {
		line, whole, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if !whole && cutOff.Match(line) {
			unfinished = &Unfinished{Bytes: len(line)}
			break
		}
		record, err := Verify(line, keys)
		if err != nil {
			return fmt.Errorf("a line of the log: %w", err)
		}
		place := record.Log
		switch {
		case place == nil:
			return errors.New("a line of the log says that it is in no log")
		case before != nil && (place.Chain != before.Chain || place.Number != before.Number+1 || place.Previous != hash):
			return fmt.Errorf("record %d of chain %s does not follow the one before it", place.Number, place.Chain)
		case before == nil && place.Number == 0 && place.Previous != hex.EncodeToString(make([]byte, sha256.Size)):
			return fmt.Errorf("the first record of chain %s follows another", place.Chain)
		}
		sum := sha256.Sum256(record.Text)
		hash, before = hex.EncodeToString(sum[:]), place
		found = found || bytes.Equal(record.Text, r.Text)
	}
	if !found {
		return errors.New("the record is not in the log")
	}
	return unfinished
}

// readLine returns a line without its newline and whether it has one, as the last may not, and io.EOF after the last.
func readLine(lines *bufio.Reader) ([]byte, bool, error) {
	var line []byte
	for {
		piece, err := lines.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case err == nil:
			return line[:len(line)-1], true, nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, false, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, false, err
		case len(line) > longestLine:
			return nil, false, errors.New("a line of the log is too long")
		}
	}
}
