from django.db import connection
from django.http import JsonResponse

def stats(request, team):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM stats WHERE team = %s", [team])
        return JsonResponse({"n": cursor.fetchone()[0]})
