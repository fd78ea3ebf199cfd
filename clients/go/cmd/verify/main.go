// Verify checks a file and the signed record of its verdict, offline:
//
//	verify -key keys.json [-log chain.jws,...] FILE RECORD
//
// keys.json is what the service answers at /.well-known/jwks.json. Exit codes: 0 genuine, 1 refused, 2 wrong command
// line or keys, 3 a file cannot be read.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"bonafide/clients/go/evidence"
)

const (
	genuine = iota
	refused
	usage
	unreadable
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(arguments []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.SetOutput(errOut)
	keyFile := flags.String("key", "", "the service's public keys, a JSON Web Key Set")
	logFiles := flags.String("log", "", "the files of the record's chain in their order, separated by commas")
	if err := flags.Parse(arguments); err != nil {
		return usage
	}
	if flags.NArg() != 2 || *keyFile == "" {
		fmt.Fprintln(errOut, "usage: verify -key keys.json [-log chain.jws,...] FILE RECORD")
		return usage
	}
	empty := false // as of a script whose variable is not set: the log would not be checked
	flags.Visit(func(f *flag.Flag) { empty = empty || f.Value.String() == "" })
	if empty {
		fmt.Fprintln(errOut, "the value of an option is empty")
		return usage
	}
	keys, err := readKeys(*keyFile)
	if err != nil {
		fmt.Fprintln(errOut, err)
		return usage
	}
	record, err := verified(flags.Arg(0), flags.Arg(1), *logFiles, keys)
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		fmt.Fprintln(errOut, err)
		return unreadable
	}
	if unfinished := (*evidence.Unfinished)(nil); errors.As(err, &unfinished) {
		fmt.Fprintln(errOut, "warning:", err)
		err = nil
	}
	if err != nil {
		fmt.Fprintln(errOut, "refused:", err)
		return refused
	}
	fmt.Fprintf(out, "verified: %s\n%s\n", flags.Arg(0), record.JSON)
	return genuine
}

func readKeys(name string) (evidence.Keys, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return evidence.ReadKeys(file)
}

func verified(mediaName, recordName, logNames string, keys evidence.Keys) (*evidence.Record, error) {
	text, err := os.ReadFile(recordName)
	if err != nil {
		return nil, err
	}
	record, err := evidence.Verify(text, keys)
	if err != nil {
		return nil, err
	}
	media, err := os.Open(mediaName)
	if err != nil {
		return nil, err
	}
	defer media.Close()
	if err := record.CheckMedia(media); err != nil {
		return nil, err
	}
	if logNames == "" {
		return record, nil
	}
	var logs []io.Reader
	for name := range strings.SplitSeq(logNames, ",") {
		log, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer log.Close()
		logs = append(logs, log)
	}
	return record, record.CheckLog(io.MultiReader(logs...), keys)
}
