// A peer for tests: kcp-go with goscon's settings, as Debian's golang-github-xtaci-kcp-dev has it.
//
//	kcp_go serve DATA PARITY         echoes every session; prints its address
//	kcp_go dial ADDRESS DATA PARITY  standard input to a session, and the session to standard output
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/xtaci/kcp-go"
)

func main() {
	last := len(os.Args)
	data, parity := number(os.Args[last-2]), number(os.Args[last-1])
	if os.Args[1] == "serve" {
		serve(data, parity)
	} else {
		dial(os.Args[2], data, parity)
	}
}

func serve(data, parity int) {
	listener, err := kcp.ListenWithOptions("127.0.0.1:0", nil, data, parity)
	check(err)
	fmt.Println(listener.Addr())
	for {
		session, err := listener.AcceptKCP()
		check(err)
		tune(session)
		go io.Copy(session, session)
	}
}

func dial(address string, data, parity int) {
	session, err := kcp.DialWithOptions(address, nil, data, parity)
	check(err)
	tune(session)
	go io.Copy(session, os.Stdin)
	io.Copy(os.Stdout, session)
}

func tune(session *kcp.UDPSession) {
	session.SetStreamMode(true)
	session.SetWriteDelay(false)
	session.SetMtu(1400)
	session.SetWindowSize(2048, 2048)
	session.SetNoDelay(1, 10, 2, 1)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
