"""What `--help` says below the arguments: examples, exit codes, variables of the environment."""

EXIT_CODES = """\
exit codes, the first that applies:
  130  interrupted
    2  the command line is wrong; nothing was asked
    1  at least one spoof or fake was found, whatever became of the other files
    4  at least one file got no answer: service unreachable, overloaded, deadline
       passed, key refused, or a bug of the service; the same call may work later
    3  at least one file cannot be judged, or not all of it: unreadable, too large,
       not found, not allowed, without speech; or not relied on: partially spoofed,
       a decision that is uncertain, a photo without one clear face
    0  every file is bona fide or live, in all of it (status: both models are ready)
"""
ENVIRONMENT = """\
environment:
  BONAFIDE_ADDRESS   host:port of the service, as --address
  BONAFIDE_LIVE_URL  WebSocket of the service, as --url of live
  BONAFIDE_EVIDENCE_KEYS  file of public keys, as --key of verify
  BONAFIDE_API_KEY   the API key itself; --api-key-file goes before it
  NO_COLOR           set to anything: no colours
"""
AUDIO_EXAMPLES = """\
examples:
  bonafide audio call.mp3                         judge a recording
  bonafide audio *.wav --quiet                    only the verdicts
  bonafide audio --bucket calls 2024/a.wav        a recording that is stored already
  ffmpeg -i film.mkv -f wav - | bonafide audio -  from a pipe
  bonafide audio long.mp3 --hop 1                 where in it, in overlapping chunks
  bonafide audio call.wav --channel-mode separate  each channel for itself
  bonafide audio *.wav --json | jq -r 'select(.label == "spoof") | .file'
"""
FACE_EXAMPLES = """\
examples:
  bonafide face face.jpg
  bonafide face *.jpg --json | jq -r 'select(.error) | .file'
  bonafide face selfie.png && echo welcome
"""
LIVE_EXAMPLES = """\
examples:
  bonafide live call.mp3                          window by window, as fast as the service takes it
  bonafide live call.mp3 --realtime               as fast as it plays
  bonafide live call.wav --channel-mode auto      both parties of a call
  bonafide live --microphone                      until Ctrl-C; then the verdict on all of it, which
                                                  a second Ctrl-C does without
  bonafide live --microphone --json | jq .running_label
"""
VERIFY_EXAMPLES = """\
examples:
  bonafide audio call.mp3 --json | jq -r .evidence > call.jws
  bonafide verify call.mp3 call.jws --key keys.json
  bonafide verify call.mp3 call.jws --key keys.json --log /var/lib/bonafide/evidence
  bonafide verify call.mp3 call.jws --key keys.json --rescore --address bonafide:50051
"""
VERIFY_EXIT_CODES = """\
exit codes:
    0  the record is genuine and on this file; scored again, the verdict is the same
    1  refused: another file, a changed record or log, or another key
    2  the command line or the file of keys is wrong
    3  a file cannot be read
    4  the service gave no answer when asked to score again
    5  scored again, the label or a score is another, or it cannot be scored again
"""
STATUS_EXAMPLES = """\
examples:
  bonafide status
  until bonafide status --quiet; do sleep 1; done
  bonafide status --address bonafide.example.com:443 --tls --api-key-file key.txt
"""
JOBS_EXAMPLES = """\
examples:
  bonafide jobs create --bucket calls --prefix 2024/          all recordings below it; prints the job's id
  bonafide jobs create --bucket calls a.wav b.wav --wait      these two, with a bar until they are judged
  bonafide jobs create --bucket calls - < keys.txt            those of a list, one a line
  bonafide jobs create --bucket photos --prefix 2024/ --task face
  bonafide jobs wait ID && bonafide jobs results ID --json > results.jsonl
  bonafide jobs cancel ID
"""
JOBS_EXIT_CODES = """\
exit codes:
  130  interrupted; the job goes on
    2  the command line is wrong; nothing was asked
    1  results: at least one spoof or fake was found
    4  the service gave no answer; the same command may work later
    3  the service refused; results, wait: at least one object has no verdict (yet), or the job was cancelled;
       results: at least one verdict is not to be relied on, such as that on a partial spoof
    0  all else
"""
