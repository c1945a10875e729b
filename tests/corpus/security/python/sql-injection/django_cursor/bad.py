from django.db import connection
from django.http import JsonResponse

def stats(request, team):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM stats WHERE team = '{team}'")  # expect: sql-injection
        return JsonResponse({"n": cursor.fetchone()[0]})
