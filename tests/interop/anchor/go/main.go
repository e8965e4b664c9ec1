// An HTTPS client that trusts one node and nothing else: anchor HOST:PORT NODE-ID|FILE.pem
//
// With a node id it makes the trust anchor itself; with a file it takes the one of `meshbox anchor`.
// It prints what the node answers to GET /health.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"
)

// The name in every node's certificate, whatever address was dialled.
const leafName = "meshbox.invalid"

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// anchor makes a CA certificate for the key that nodeID spells. A throw-away key signs it: TLS
// libraries do not check a trust anchor's own signature.
func anchor(nodeID string) (*x509.Certificate, error) {
	key, err := base64.RawURLEncoding.DecodeString(nodeID)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%q is not a node id", nodeID)
	}
	_, throwAway, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	// Names are compared byte by byte. Left to itself, Go writes most of them as PrintableString.
	utf8 := asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(nodeID)}
	name := pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: oidCommonName, Value: utf8}}}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               name,
		NotBefore:             time.Unix(0, 0),
		NotAfter:              time.Date(2099, 12, 31, 23, 59, 59, 0, time.UTC),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, ed25519.PublicKey(key), throwAway)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func rootsOf(trusted string) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if pem, err := os.ReadFile(trusted); err == nil {
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", trusted)
		}
		return roots, nil
	}
	certificate, err := anchor(trusted)
	if err != nil {
		return nil, err
	}
	roots.AddCert(certificate)
	return roots, nil
}

func run(address, trusted string) error {
	roots, err := rootsOf(trusted)
	if err != nil {
		return err
	}
	dialer := net.Dialer{Timeout: 10 * time.Second}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
	}
	answer, err := (&http.Client{Transport: transport}).Get("https://" + leafName + "/health")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(os.Stdout, answer.Body)
	return err
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
