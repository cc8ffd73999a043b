package hostilepg

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// SayNothing reads whatever comes, and never answers.
func SayNothing(client net.Conn) { _, _ = io.Copy(io.Discard, client) }

// SendRows lets every client in, and answers the first statement with rows that never end.
func SendRows(client net.Conn) {
	flood(client, &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("x"), DataTypeOID: 25, TypeModifier: -1}}}, largeRow())
}

// SendNotices does the same with notices.
func SendNotices(client net.Conn) {
	notice := &pgproto3.NoticeResponse{Severity: "NOTICE", Code: "00000", Message: strings.Repeat("x", 8000)}
	flood(client, notice, notice)
}

func largeRow() *pgproto3.DataRow {
	return &pgproto3.DataRow{Values: [][]byte{[]byte(strings.Repeat("x", 8000))}}
}

func flood(client net.Conn, first, rest pgproto3.BackendMessage) {
	server := pgproto3.NewBackend(client, client)
	if _, err := server.ReceiveStartupMessage(); err != nil {
		return
	}
	server.Send(&pgproto3.AuthenticationOk{})
	server.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if server.Flush() != nil {
		return
	}
	if _, err := server.Receive(); err != nil {
		return
	}
	server.Send(first)
	for server.Flush() == nil {
		server.Send(rest)
	}
}

// moods is how many there are.
const moods = 6

// Mood answers as the real server does until its hour has come, and then it does one of many things: it keeps silent for a
// while, hangs up, repeats itself, changes a byte, announces more than there is, or floods.
func Mood(random *rand.Rand) Change {
	after, mood := random.IntN(2000), random.IntN(moods)
	return func(_ string, m Message, send func(Message) error) error {
		after--
		if after > 0 {
			return send(m)
		}
		switch mood {
		case 0:
			<-time.After(time.Minute)
			return errors.New("it has been silent")
		case 1:
			return errors.New("it hangs up")
		case 2:
			return errors.Join(send(m), send(m))
		case 3:
			if len(m.Body) > 0 {
				m.Body[random.IntN(len(m.Body))] ^= byte(1 + random.IntN(255))
			}
			return send(m)
		case 4:
			m.Kind, m.Body = 'D', append([]byte{0x7f, 0xff, 0x7f, 0xff, 0xff, 0xff}, m.Body...)
			return send(m)
		default:
			row := Of(largeRow())
			for send(row) == nil {
			}
			return errors.New("nobody listens any more")
		}
	}
}
