/*
 * db_libpq.h - libpq, loaded when the first connection is wanted.
 *
 * libpq brings 22 libraries along (LDAP, Kerberos, GnuTLS, ...).  Commands that only read the archive start twice as
 * fast without them, and work on a host where libpq is not installed.  The prototypes are libpq's own; a function that
 * is used and not listed here fails at link time.
 */
#ifndef MMRETAIN_DB_LIBPQ_H
#define MMRETAIN_DB_LIBPQ_H

#include <libpq-fe.h>
#include <mmretain/base.h>

#define LIBPQ_FUNCTIONS(X) \
	X(PQbackendPID) X(PQcancel) X(PQclear) X(PQcmdStatus) X(PQcmdTuples) X(PQconndefaults) \
	X(PQconnectPoll) X(PQconnectStartParams) X(PQconnectionNeedsPassword) X(PQconninfoFree) \
	X(PQconninfoParse) X(PQconsumeInput) X(PQdb) X(PQenterPipelineMode) X(PQerrorMessage) \
	X(PQexitPipelineMode) X(PQfinish) X(PQfreeCancel) X(PQfreemem) X(PQgetCancel) \
	X(PQgetCopyData) X(PQgetResult) X(PQgetisnull) X(PQgetlength) X(PQgetvalue) X(PQhost) \
	X(PQhostaddr) X(PQisBusy) X(PQnfields) X(PQntuples) X(PQparameterStatus) \
	X(PQpipelineSync) X(PQport) X(PQputCopyData) X(PQputCopyEnd) X(PQresStatus) \
	X(PQresultErrorField) X(PQresultStatus) X(PQsendPrepare) X(PQsendQuery) \
	X(PQsendQueryParams) X(PQsendQueryPrepared) X(PQserverVersion) X(PQsetNoticeReceiver) \
	X(PQsetSingleRowMode) X(PQsocket) X(PQsslStruct) X(PQstatus) X(PQtransactionStatus)

struct libpq {
#define X(name) __typeof__(name) *name##_;
	LIBPQ_FUNCTIONS(X)
#undef X
};
extern struct libpq libpq;
/* Once per process; before any of the functions below. */
int libpq_load(struct err *err) MMR_CHECKED;
/* Bytes of a TLS record that libpq has begun to read and that poll() does not see; 0 without TLS. */
int libpq_tls_pending(PGconn *pg);

#define PQbackendPID libpq.PQbackendPID_
#define PQcancel libpq.PQcancel_
#define PQclear libpq.PQclear_
#define PQcmdStatus libpq.PQcmdStatus_
#define PQcmdTuples libpq.PQcmdTuples_
#define PQconndefaults libpq.PQconndefaults_
#define PQconnectPoll libpq.PQconnectPoll_
#define PQconnectStartParams libpq.PQconnectStartParams_
#define PQconnectionNeedsPassword libpq.PQconnectionNeedsPassword_
#define PQconninfoFree libpq.PQconninfoFree_
#define PQconninfoParse libpq.PQconninfoParse_
#define PQconsumeInput libpq.PQconsumeInput_
#define PQdb libpq.PQdb_
#define PQenterPipelineMode libpq.PQenterPipelineMode_
#define PQerrorMessage libpq.PQerrorMessage_
#define PQexitPipelineMode libpq.PQexitPipelineMode_
#define PQfinish libpq.PQfinish_
#define PQfreeCancel libpq.PQfreeCancel_
#define PQfreemem libpq.PQfreemem_
#define PQgetCancel libpq.PQgetCancel_
#define PQgetCopyData libpq.PQgetCopyData_
#define PQgetResult libpq.PQgetResult_
#define PQgetisnull libpq.PQgetisnull_
#define PQgetlength libpq.PQgetlength_
#define PQgetvalue libpq.PQgetvalue_
#define PQhost libpq.PQhost_
#define PQhostaddr libpq.PQhostaddr_
#define PQisBusy libpq.PQisBusy_
#define PQnfields libpq.PQnfields_
#define PQntuples libpq.PQntuples_
#define PQparameterStatus libpq.PQparameterStatus_
#define PQpipelineSync libpq.PQpipelineSync_
#define PQport libpq.PQport_
#define PQputCopyData libpq.PQputCopyData_
#define PQputCopyEnd libpq.PQputCopyEnd_
#define PQresStatus libpq.PQresStatus_
#define PQresultErrorField libpq.PQresultErrorField_
#define PQresultStatus libpq.PQresultStatus_
#define PQsendPrepare libpq.PQsendPrepare_
#define PQsendQuery libpq.PQsendQuery_
#define PQsendQueryParams libpq.PQsendQueryParams_
#define PQsendQueryPrepared libpq.PQsendQueryPrepared_
#define PQserverVersion libpq.PQserverVersion_
#define PQsetNoticeReceiver libpq.PQsetNoticeReceiver_
#define PQsetSingleRowMode libpq.PQsetSingleRowMode_
#define PQsocket libpq.PQsocket_
#define PQsslStruct libpq.PQsslStruct_
#define PQstatus libpq.PQstatus_
#define PQtransactionStatus libpq.PQtransactionStatus_

#endif
